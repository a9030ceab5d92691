"""The table of `sparkctl runtime list`."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec import Struct
from rich.table import Table
from rich.text import Text

from sparkd.catalog.runtime import Runtime
from sparkd.catalog.sizes import format_size
from sparkd.cli.output.terminal import stdout_console
from sparkd.machine.disk import disk_usage
from sparkd.runtimes import Build, find_installed, list_builds
from sparkd.runtimes.store import find_built, find_rolled_back


class BuildStatus(Struct, frozen=True, kw_only=True):
    """A build of a runtime. `created` is in seconds since 1970; `usable`: its Python exists.

    `size` is in bytes, including files shared with the package cache.
    """

    folder: Path
    created: float
    size: int
    python: str
    current: bool
    usable: bool


class RuntimeStatus(Struct, frozen=True, kw_only=True):
    """A runtime and its builds, the newest first.

    `folder` is the current build's, None if there is none; `outdated`: only an older definition was built;
    `rolled_back`: engines run in an older build on purpose.
    """

    name: str
    description: str
    folder: Path | None
    outdated: bool
    rolled_back: bool
    builds: tuple[BuildStatus, ...]


def read_status(runtime: Runtime, root: Path) -> RuntimeStatus:
    """The builds of a runtime under `root`. Reads the sizes of all its files."""
    folder = find_installed(runtime, root)
    builds = [build for build in reversed(list_builds(root)) if build.record.name == runtime.name]
    return RuntimeStatus(
        name=runtime.name,
        description=runtime.description,
        folder=folder,
        outdated=bool(builds) and find_built(runtime, root) is None,
        rolled_back=find_rolled_back(runtime.name, root) is not None,
        builds=tuple(_build_status(build, folder) for build in builds),
    )


def describe_state(status: RuntimeStatus) -> str:
    """ "built", or why it is not."""
    if status.rolled_back:
        return "rolled back"
    if status.folder:
        return "built"
    return "changed since its build" if status.outdated else "not built"


def print_table(statuses: Sequence[RuntimeStatus]) -> None:
    """A row for each runtime, and one for each of its other builds."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("RUNTIME", "STATE", "BUILD", "DATE", "SIZE", "DESCRIPTION"):
        table.add_column(heading, overflow="fold", justify="right" if heading == "SIZE" else "left")
    for status in statuses:
        style = "green" if describe_state(status) == "built" else "yellow"
        current = next((build for build in status.builds if build.current), None)
        table.add_row(
            Text(status.name),
            Text(describe_state(status), style),
            *_render_build(current),
            Text(status.description),
        )
        for build in status.builds:
            if not build.current:
                table.add_row(
                    "",
                    Text("kept" if build.usable else "its Python is missing", "dim"),
                    *_render_build(build),
                    "",
                )
    stdout_console().print(table)


def _render_build(build: BuildStatus | None) -> Iterator[Text]:
    if build is None:
        yield from (Text("-", "dim"),) * 3
        return
    yield Text(build.folder.name)
    yield Text(time.strftime("%Y-%m-%d %H:%M", time.localtime(build.created)))
    yield Text(format_size(build.size))


def _build_status(build: Build, current: Path | None) -> BuildStatus:
    return BuildStatus(
        folder=build.folder,
        created=build.record.created,
        size=disk_usage(build.folder),
        python=build.record.python,
        current=build.folder == current,
        usable=build.usable,
    )

"""Removes old builds, except the current one, the previous one, and those from which engines run."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from msgspec import Struct

from sparkd.catalog.runtime import Runtime
from sparkd.runtimes.store import (
    CACHE,
    STEPS,
    Build,
    clear_unfinished,
    find_built,
    find_installed,
    find_previous,
    hold_lock,
    list_builds,
    remove_build,
)

PROCESSES = Path("/proc")

_BUILD = re.compile(r".+-[0-9a-f]{12}")


class PruneResult(Struct, frozen=True, kw_only=True):
    """The removed builds, and the builds that remain because processes (their PIDs) run from them."""

    removed: tuple[Path, ...]
    in_use: Mapping[str, tuple[int, ...]]


def prune(
    runtimes: Iterable[Runtime],
    root: Path,
    report: Callable[[str], None] = lambda _: None,
    *,
    everything: bool = False,
    processes: Path = PROCESSES,
) -> PruneResult:
    """Remove builds of `runtimes`, except the current and the previous one, and the packages kept for the next build.

    With `everything`, also remove the previous ones, builds of runtimes that are not in `runtimes`, and wheels that
    steps keep for the next build.
    """
    if not root.is_dir():
        return PruneResult(removed=(), in_use={})
    with hold_lock(root, report):
        clear_unfinished(root)
        builds = list_builds(root)
        removable = _choose_removable(list(runtimes), root, builds, everything=everything)
        used = find_processes_using(removable, processes)
        removed = [folder for folder in removable if folder not in used]
        for folder in removed:
            remove_build(folder)
        for kept in (CACHE, STEPS) if everything else (CACHE,):
            shutil.rmtree(root / kept, ignore_errors=True)
    return PruneResult(removed=tuple(removed), in_use={str(folder): pids for folder, pids in used.items()})


def _choose_removable(
    runtimes: list[Runtime], root: Path, builds: list[Build], *, everything: bool
) -> list[Path]:
    keep: set[Path | None] = set()
    for runtime in runtimes:
        current = find_installed(runtime, root)
        if current is None and (newest := find_previous(runtime.name, builds, None)):
            current = newest.folder  # of an older definition, but the only one until the current one is built
        # The build of the current definition stays too: it is used again when a rollback ends.
        keep |= {current, find_built(runtime, root)}
        if not everything and (before := find_previous(runtime.name, builds, current)):
            keep.add(before.folder)
    known = {runtime.name for runtime in runtimes}
    return [
        build.folder
        for build in builds
        if build.folder not in keep and (everything or build.record.name in known)
    ]


def find_processes_using(folders: Iterable[Path], processes: Path = PROCESSES) -> dict[Path, tuple[int, ...]]:
    """Those of `folders` from which processes run, and their PIDs.

    The python of a virtualenv is a link, so the executable of a process does not show it. Its command line, its
    VIRTUAL_ENV and its mapped libraries do. Requires permission to read those processes.
    """
    marks = {folder: {f"{place}/".encode() for place in (folder, folder.resolve())} for folder in folders}
    found: dict[Path, tuple[int, ...]] = {}
    for process in processes.iterdir() if marks else ():
        if not process.name.isdigit() or int(process.name) == os.getpid():
            continue
        content = _read_process(process)
        for folder, texts in marks.items():
            if any(text in content for text in texts):
                found[folder] = (*found.get(folder, ()), int(process.name))
    return found


def _read_process(process: Path) -> bytes:
    parts = []
    for name in ("cmdline", "environ", "maps"):
        try:
            parts.append((process / name).read_bytes())
        except OSError:  # it has exited, or belongs to another user
            continue
    # A value in the environment may be the folder itself, without a slash after it.
    return b"\n".join(parts).replace(b"\0", b"/\0")


def remove_stale_caches(root: Path, cache: Path) -> list[Path]:
    """Remove the caches of removed builds below `cache`, and return those folders."""
    existing = {build.folder.name for build in list_builds(root)}
    stale = [path for path in _folders(cache) if _BUILD.fullmatch(path.name) and path.name not in existing]
    for path in stale:
        shutil.rmtree(path, ignore_errors=True)
    return stale


def _folders(place: Path) -> list[Path]:
    try:
        return sorted(path for path in place.iterdir() if path.is_dir())
    except OSError:
        return []

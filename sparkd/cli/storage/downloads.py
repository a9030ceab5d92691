"""Downloads into the models folder: what `pull`, `models` and `rm` share."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from msgspec import structs

from sparkd.catalog import Catalogue
from sparkd.catalog.reading import read_catalogue
from sparkd.catalog.reading.locations import catalogue_path
from sparkd.cli.storage.folders import nearest_existing
from sparkd.errors import DaemonUnreachable
from sparkd.hub.messages import Done, Failed, Progress, decode_line, make_error
from sparkd.hub.request import DownloadRequest, build_command, build_environment


def load_catalogue(given: str | None) -> Catalogue:
    """The catalogue from the command line, or the default one. Raises CatalogueError."""
    return read_catalogue(catalogue_path(given))


def is_not_running(error: DaemonUnreachable) -> bool:
    """Whether no daemon runs, rather than one that does not respond or denies access."""
    return isinstance(error.__cause__, OSError | httpx.ConnectError)


@contextmanager
def act_as_owner(models: Path) -> Iterator[None]:
    """Run the block as the folder's owner, if this user is root.

    The owner could not change files created by root, and could redirect root anywhere with a symbolic link.
    """
    owner, groups, group = _find_owner(models), os.getgroups(), os.getegid()
    if owner is None:
        yield
        return
    os.setgroups([])
    os.setegid(owner[1])
    os.seteuid(owner[0])
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(groups)


def fetch(order: DownloadRequest, report_progress: Callable[[Progress], None]) -> Done:
    """Download now, as the folder's owner; `report_progress` gets the progress. Raises DownloadFailed."""
    last: Done | Failed | None = None
    order = structs.replace(order, owner=_find_owner(Path(order.models)))
    with subprocess.Popen(
        build_command(order),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=build_environment(order, os.environ),
        cwd="/",
        start_new_session=True,  # we handle Ctrl-C: closing its standard input ends it
    ) as process:
        try:
            for text in process.stdout or ():
                match decode_line(text):
                    case Progress() as progress:
                        report_progress(progress)
                    case Done() | Failed() as last:
                        pass
        finally:
            if process.stdin:
                process.stdin.close()
    if isinstance(last, Done):
        return last
    raise make_error(last, process.returncode)


def _find_owner(models: Path) -> tuple[int, int] | None:
    """User and group that root downloads as, so that the daemon can read the files; None if it need not change."""
    status = nearest_existing(models).stat()
    if os.geteuid() != 0 or status.st_uid == 0:
        return None
    return status.st_uid, status.st_gid


def is_terminal() -> bool:
    """Whether stderr is a terminal."""
    return sys.stderr.isatty()

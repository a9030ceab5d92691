"""Fetching into the models' folder from here: what `pull`, `models` and `rm` share."""

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
from sparkd.cli.folders import nearest
from sparkd.errors import DaemonUnreachable
from sparkd.hub.ordering import Order, command, environment
from sparkd.hub.telling import Done, Failed, Progress, failure_of, read_line


def catalogue_of(given: str | None) -> Catalogue:
    """The catalogue that the command line names, or the usual one. Raises CatalogueError."""
    return read_catalogue(catalogue_path(given))


def is_absent(error: DaemonUnreachable) -> bool:
    """Whether no daemon runs, rather than one that does not answer or not to us."""
    return isinstance(error.__cause__, OSError | httpx.ConnectError)


@contextmanager
def as_owner(models: Path) -> Iterator[None]:
    """Be the folder's owner meanwhile, where root works for them.

    What root made there the owner could not change, and by a link there the owner could lead root anywhere.
    """
    owner, groups, group = _owner(models), os.getgroups(), os.getegid()
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


def fetch(order: Order, follow: Callable[[Progress], None]) -> Done:
    """Fetch here and now, as the folder's owner; `follow` is told how far it is. Raises FetchFailed."""
    last: Done | Failed | None = None
    order = structs.replace(order, owner=_owner(Path(order.models)))
    with subprocess.Popen(
        command(order),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment(order, os.environ),
        cwd="/",
        start_new_session=True,  # Ctrl-C is ours: closing its standard input ends it
    ) as process:
        try:
            for text in process.stdout or ():
                match read_line(text):
                    case Progress() as progress:
                        follow(progress)
                    case Done() | Failed() as last:
                        pass
        finally:
            if process.stdin:
                process.stdin.close()
    if isinstance(last, Done):
        return last
    raise failure_of(last, process.returncode)


def _owner(models: Path) -> tuple[int, int] | None:
    """User and group of the folder, for whom root fetches: the daemon must be able to read what comes."""
    status = nearest(models).stat()
    if os.geteuid() != 0 or status.st_uid == 0:
        return None
    return status.st_uid, status.st_gid


def is_terminal() -> bool:
    """Whether a person watches."""
    return sys.stderr.isatty()

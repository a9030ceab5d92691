"""Where the catalogue is, and where a daemon that runs it listens for its operator.

The daemon and sparkctl both ask here, so they cannot disagree.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sparkd.catalog.reading import read_paths
from sparkd.errors import CatalogueError

CATALOGUE_VARIABLE = "SPARKD_CATALOGUE"
PLACES = (Path("models.toml"), Path("/etc/sparkd/models.toml"))

LONGEST_ADDRESS = 107
"""Bytes of a Unix socket's path; `sun_path` of unix(7) has 108 with the closing NUL."""


def catalogue_path(given: str | None) -> Path:
    """The catalogue to read: the one given, else `SPARKD_CATALOGUE`, else the first of PLACES that is there.

    Raises CatalogueError when nothing was named and there is none at the usual places. One that was named is
    not looked at: reading it tells better what is wrong.
    """
    named = given or os.environ.get(CATALOGUE_VARIABLE)
    if named:
        return Path(named).expanduser().absolute()
    for place in PLACES:
        if place.is_file():
            return place.absolute()
    looked = " nor ".join(str(place.absolute()) for place in PLACES)
    problem = f"There is no catalogue: neither {looked}; name one with --catalogue or {CATALOGUE_VARIABLE}."
    raise CatalogueError([problem])


def run_folder(catalogue: Path) -> Path:
    """`paths.run` of the catalogue and its drop-ins, absolute, with nothing else of them looked at.

    An operator who has just broken a model's entry can still reach the daemon, which runs the entries it read.
    Raises CatalogueError when the file cannot be read or is not TOML.
    """
    return Path(read_paths(catalogue).run)


def control_socket(run: Path) -> Path:
    """The control API's Unix socket in the folder `paths.run`."""
    return run / "control.sock"


@contextmanager
def socket_address(socket: Path) -> Iterator[str]:
    """What to bind or connect to for a socket at this path, which may be longer than LONGEST_ADDRESS.

    A long one is named through an open folder, `/proc/self/fd/N/control.sock` (proc(5)), and only inside the
    block. Raises OSError when there is no such folder.
    """
    if len(os.fsencode(socket)) <= LONGEST_ADDRESS:
        yield str(socket)
        return
    folder = os.open(socket.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{socket.name}"
    finally:
        os.close(folder)

"""Which control socket sparkctl uses, and what is wrong if nothing can be reached there."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from sparkd.catalog.reading.locations import catalogue_path, run_folder
from sparkd.errors import CatalogueError, ControlForbidden, DaemonUnreachable
from sparkd.service.unix_sockets import control_socket

SOCKET_VARIABLE = "SPARKD_SOCKET"
SOCKET_HINT = f"name its socket with --socket or {SOCKET_VARIABLE}"


def find_socket(given: str | None = None, catalogue: str | None = None) -> Path:
    """The control socket: `given`, or `SPARKD_SOCKET`, or the socket of the catalogue's daemon.

    `catalogue` is a path from the command line. Raises DaemonUnreachable if it is needed and cannot be read.
    """
    path = given or os.environ.get(SOCKET_VARIABLE)
    if path:
        return Path(path).expanduser().absolute()
    try:
        return control_socket(run_folder(catalogue_path(catalogue)))
    except CatalogueError as error:
        message = f"cannot find the control socket in the catalogue: {error.message} (or {SOCKET_HINT})"
        raise DaemonUnreachable(message) from error


def build_connect_error(socket: Path, error: Exception) -> DaemonUnreachable:
    """The error for a connection to `socket` that has failed with `error`."""
    start = f"start it with `systemctl start sparkd`, or {SOCKET_HINT}"
    number = _find_errno(error)
    if number == errno.ENOENT:
        return DaemonUnreachable(f"sparkd is not running: there is no control socket {socket}; {start}")
    if number == errno.ECONNREFUSED:
        return DaemonUnreachable(f"sparkd is not running: nothing listens at {socket}; {start}")
    if number in (errno.EACCES, errno.EPERM):
        return ControlForbidden(
            f"the control socket {socket} belongs to {_find_owner(socket)}; run the command with sudo, or as that user"
        )
    return DaemonUnreachable(f"cannot connect to sparkd at {socket}: {error}")


def _find_errno(error: BaseException | None) -> int | None:
    while error is not None:
        if isinstance(error, OSError):
            return error.errno
        error = error.__cause__ or error.__context__
    return None


def _find_owner(socket: Path) -> str:
    for path in (socket, *socket.parents):
        try:
            return path.owner()
        except (OSError, KeyError):  # inside a folder without access, or a user without a name
            continue
    return "its owner"

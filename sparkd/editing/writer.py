"""Writes drop-ins for a daemon that may not write them itself.

Under systemd, engines run as the daemon's user. So that they cannot change the catalogue, its folder belongs to root,
and systemd starts this process (`sparkd-writer@.service`) for each connection to a socket. It serves one request of the
unit's main process, which an engine is not, and checks the catalogue again before it writes.
"""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from sparkd import errors
from sparkd.editing.edits import Edit
from sparkd.editing.files import MAX_TEXT
from sparkd.editing.store import LocalStore
from sparkd.errors import CatalogueError, CatalogueNotWritable, EditFailed, SparkdError

SOCKET: Final = Path("/run/sparkd-writer.sock")
"""Where systemd listens for the daemon: units/sparkd-writer.socket."""

TIMEOUT: Final = 60.0
"""Seconds for one request: the catalogue is read once, and the disk may be slow."""

MAX_REQUEST: Final = 2 * MAX_TEXT
"""Bytes; texts are sent in base64."""

_credentials = struct.Struct("3i")


class Write(Struct, frozen=True, tag="write"):
    """Asks for `Store.write`."""

    file: str
    data: bytes | None
    digest: str | None


class Toggle(Struct, frozen=True, tag="toggle"):
    """Asks for `Store.toggle`."""

    number: int | None


class TakeBack(Struct, frozen=True, tag="take_back"):
    """Asks for `Store.take_back`."""

    number: int
    is_toggled: bool


Request = Write | Toggle | TakeBack


class Reply(Struct, frozen=True):
    """The result: an edit, nothing, or the class and the message of an error."""

    edit: Edit | None = None
    error: str = ""
    message: str = ""


class WriterStore:
    """A Store whose changes the writer makes."""

    def __init__(self, path: Path = SOCKET) -> None:
        self._path = path

    def write(self, name: str, data: bytes | None, digest: str | None) -> Edit:
        """See Store."""
        return self._edit(Write(name, data, digest))

    def toggle(self, number: int | None) -> Edit:
        """See Store."""
        return self._edit(Toggle(number))

    def take_back(self, number: int, *, is_toggled: bool) -> None:
        """See Store."""
        self._ask(TakeBack(number, is_toggled))

    def _edit(self, request: Request) -> Edit:
        edit = self._ask(request).edit
        if edit is None:
            raise EditFailed("The writer of the catalogue reported no edit. Its log is in the journal.")
        return edit

    def _ask(self, request: Request) -> Reply:
        try:
            reply = msgspec.json.decode(_exchange(self._path, msgspec.json.encode(request)), type=Reply)
        except (OSError, msgspec.MsgspecError) as error:
            text = f"The writer of the catalogue at {self._path} failed: {error}. See its journal."
            raise EditFailed(text) from error
        if reply.error:
            raise _restore_error(reply)
        return reply


def serve(connection: socket.socket, catalogue: Path, allowed: int) -> None:
    """Serve one request, if the process at the other end is `allowed`. Raises OSError."""
    connection.settimeout(TIMEOUT)
    peer = _credentials.unpack(
        connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _credentials.size)
    )[0]
    if peer != allowed:
        message = f"Only the main process of sparkd may ask, and process {peer} is another one."
        reply = Reply(error=CatalogueNotWritable.__name__, message=message)
        sys.stderr.write(f"{message}\n")
    else:
        reply = _carry_out(_read_all(connection), LocalStore(catalogue))
    connection.sendall(msgspec.json.encode(reply))


def _carry_out(data: bytes, store: LocalStore) -> Reply:
    try:
        request: Request = msgspec.json.decode(data, type=Request)
        match request:
            case Write(file, text, digest):
                edit = store.write(file, text, digest)
            case Toggle(number):
                edit = store.toggle(number)
            case TakeBack(number, is_toggled):
                store.take_back(number, is_toggled=is_toggled)
                return Reply()
    except SparkdError as error:
        return Reply(error=type(error).__name__, message=error.message)
    except msgspec.MsgspecError as error:
        return Reply(error=EditFailed.__name__, message=f"not a request: {error}")
    sys.stderr.write(f"wrote {edit.file} (edit {edit.id})\n")
    return Reply(edit=edit)


def _restore_error(reply: Reply) -> SparkdError:
    if reply.error == CatalogueError.__name__:
        return CatalogueError(reply.message.splitlines())
    known = getattr(errors, reply.error, EditFailed)
    return known(reply.message) if issubclass(known, SparkdError) else EditFailed(reply.message)


def _exchange(path: Path, data: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(TIMEOUT)
        connection.connect(str(path))
        # It may have answered and closed already, without reading everything.
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
        return _read_all(connection)


def _read_all(connection: socket.socket) -> bytes:
    parts, size = [], 0
    while part := connection.recv(1 << 16):
        size += len(part)
        if size > MAX_REQUEST:
            raise OSError("the message is too long")
        parts.append(part)
    return b"".join(parts)


def _main_process(unit: str) -> int:
    """The PID of the unit's main process, 0 if it has none."""
    command = ["systemctl", "show", "--property", "MainPID", "--value", unit]
    result = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    return int(result.stdout.strip() or 0)


def main() -> int:
    """Serve the connection that systemd passed as standard input. Arguments: the catalogue, and the daemon's unit."""
    catalogue, unit = Path(sys.argv[1]), sys.argv[2]
    os.umask(0o022)
    with socket.socket(fileno=os.dup(0)) as connection:
        serve(connection, catalogue, _main_process(unit))
    return 0


if __name__ == "__main__":
    sys.exit(main())

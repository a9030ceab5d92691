"""Paths of Unix sockets: where the control API listens, and how to use a path that is too long for unix(7)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MAX_SOCKET_PATH = 107
"""Bytes of a Unix socket's path. `sun_path` in unix(7) has 108, including the final NUL."""


def control_socket(run: Path) -> Path:
    """Return the path of the control API's Unix socket in the folder `paths.run`."""
    return run / "control.sock"


@contextmanager
def socket_address(socket: Path) -> Iterator[str]:
    """Yield the address to bind or connect to for a socket at this path, which may be longer than MAX_SOCKET_PATH.

    A long path is addressed through an open folder, `/proc/self/fd/N/control.sock` (proc(5)), which is valid only in
    the block. Raises OSError if the folder does not exist.
    """
    if len(os.fsencode(socket)) <= MAX_SOCKET_PATH:
        yield str(socket)
        return
    folder = os.open(socket.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{socket.name}"
    finally:
        os.close(folder)

"""Paths of Unix sockets: where the control API listens, and how to use a path that is too long for unix(7)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LONGEST_ADDRESS = 107
"""Bytes of a Unix socket's path; `sun_path` of unix(7) has 108 with the closing NUL."""


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

"""Two ends of a socket for datagrams."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest


@pytest.fixture
def doors() -> Iterator[tuple[socket.socket, socket.socket]]:
    """The daemon's end and the journal's."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    ours.setblocking(False)
    theirs.setblocking(False)
    yield ours, theirs
    ours.close()
    theirs.close()

"""Loopback ports for engines that cannot listen on a Unix socket."""

from __future__ import annotations

import itertools
import os
import socket
from pathlib import Path
from typing import Final

LOOPBACK: Final = "127.0.0.1"
FIRST: Final = 20000
EPHEMERAL_RANGE: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")


def _last() -> int:
    """Return the last port that the kernel never gives to an outgoing connection.

    One that it does give away may be taken between our choice and the moment the engine binds it, by the engine's
    own connections too.
    """
    try:
        return max(int(EPHEMERAL_RANGE.read_text().split()[0]) - 1, FIRST + 1000)
    except (OSError, ValueError):
        return 32767


def _candidates() -> itertools.cycle[int]:
    """Every port in turn, so that none is chosen again until all others were; from another one in every sparkd."""
    ports = range(FIRST, _last() + 1)
    begin = os.getpid() % len(ports)
    return itertools.cycle([*ports[begin:], *ports[:begin]])


_ports: Final = _candidates()
_count: Final = _last() + 1 - FIRST


def free_port() -> int:
    """Return a loopback port that nobody uses, and that is not returned again before thousands of others.

    Raises OSError when every port is in use.
    """
    for port in itertools.islice(_ports, _count):
        if _is_free(port):
            return port
    raise OSError(f"every port from {FIRST} to {_last()} is in use")


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True

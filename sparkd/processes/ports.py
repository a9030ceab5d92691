"""Loopback ports for engines that cannot listen on a Unix socket."""

from __future__ import annotations

import itertools
import os
import socket
from pathlib import Path
from typing import Final

LOOPBACK: Final = "127.0.0.1"
FIRST_PORT: Final = 20000
EPHEMERAL_RANGE: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")


def _last_port() -> int:
    """Return the last port that the kernel never assigns to an outgoing connection.

    The kernel could assign a higher port between our choice and the moment the engine binds it, even to one of the
    engine's own connections.
    """
    try:
        return max(int(EPHEMERAL_RANGE.read_text().split()[0]) - 1, FIRST_PORT + 1000)
    except (OSError, ValueError):
        return 32767


def _cycle_ports() -> itertools.cycle[int]:
    """Return every port in turn, so that none is used again before all others. Each sparkd starts at another port."""
    ports = range(FIRST_PORT, _last_port() + 1)
    start = os.getpid() % len(ports)
    return itertools.cycle([*ports[start:], *ports[:start]])


_ports: Final = _cycle_ports()
_port_count: Final = _last_port() + 1 - FIRST_PORT


def find_free_port() -> int:
    """Return a free loopback port. It is not returned again before thousands of others.

    Raises OSError if every port is in use.
    """
    for port in itertools.islice(_ports, _port_count):
        if _is_free(port):
            return port
    raise OSError(f"every port from {FIRST_PORT} to {_last_port()} is in use")


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True

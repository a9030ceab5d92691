"""The addresses of `sparkctl doctor`: those of `server.listen`, tested, and those of Docker's network."""

from __future__ import annotations

import errno
import socket
from contextlib import suppress
from typing import Final

import psutil

from sparkd.catalog.addresses import LOOPBACKS, listen_addresses
from sparkd.catalog.hosts import normalize_address
from sparkd.cli.doctor.facts import PortState

BRIDGE: Final = "docker0"
"""Docker's network for containers that name no other; `host.docker.internal` is this machine's address in it."""

NO_ADDRESS: Final = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
"""What ::1 fails with on a machine without IPv6; sparkd leaves it out there."""


def inspect_ports(listen: str | tuple[str, ...]) -> tuple[PortState, ...]:
    """Each address of `server.listen` that this machine has."""
    addresses = listen_addresses(listen)
    states = []
    for host, number in addresses:
        shown = f"[{host}]:{number}" if ":" in host else f"{host}:{number}"
        try:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            with socket.socket(family, socket.SOCK_STREAM) as listener:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.bind((host, number))
        except OSError as error:
            if error.errno in NO_ADDRESS and host == LOOPBACKS[1] and len(addresses) > 1:
                continue
            taken = error.errno == errno.EADDRINUSE
            holder = _find_listener(number) if taken else None
            states.append(PortState(shown, error.strerror, taken=taken, holder=holder))
        else:
            states.append(PortState(shown))
    return tuple(states)


def _find_listener(port: int) -> str | None:
    """The program that listens there, if this user may see it."""
    with suppress(psutil.Error, OSError):
        for connection in psutil.net_connections("tcp"):
            listens = connection.status == psutil.CONN_LISTEN and connection.laddr
            if listens and listens.port == port and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (PID {connection.pid})"
    return None


def find_bridges() -> tuple[str, ...]:
    """This machine's IPv4 addresses in Docker's network."""
    with suppress(psutil.Error, OSError):
        found = psutil.net_if_addrs().get(BRIDGE, ())
        return tuple(normalize_address(each.address) for each in found if each.family == socket.AF_INET)
    return ()

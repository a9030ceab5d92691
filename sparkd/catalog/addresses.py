"""Parses the addresses to listen on, `host:port`."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from sparkd.catalog.hosts import is_loopback_host, parse_authority
from sparkd.catalog.settings import Server

LOCALHOST: Final = "localhost"
LOOPBACKS: Final = ("127.0.0.1", "::1")
"""What `localhost` stands for: clients that resolve this name may connect to either."""

WILDCARDS: Final = ("0.0.0.0", "::")  # noqa: S104  # compared with, not listened on
"""Addresses that listen on every interface."""

_listen = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<host>[A-Za-z0-9._-]+)):(?P<port>[0-9]{1,5})")


def parse_listen(listen: str) -> tuple[str, int]:
    """Host (an IPv6 host without its brackets) and port of an address. Port 0 means a free port.

    Raises ValueError if it is not an address.
    """
    found = _listen.fullmatch(listen)
    if found is None or int(found["port"]) > 65535:
        message = f"{listen!r} is not host:port"
        raise ValueError(message)
    try:
        if found["six"]:
            socket.inet_pton(socket.AF_INET6, found["six"])
        elif re.fullmatch(r"[0-9.]+", found["host"]):
            socket.inet_pton(socket.AF_INET, found["host"])
    except OSError:
        message = f"{listen!r} has no valid IP address"
        raise ValueError(message) from None
    return found["six"] or found["host"], int(found["port"])


def listen_addresses(listen: str | Iterable[str]) -> list[tuple[str, int]]:
    """Each host and port of `server.listen`, once; `localhost` is both loopback addresses. Raises ValueError."""
    parsed = [parse_listen(one) for one in ((listen,) if isinstance(listen, str) else listen)]
    if not parsed:
        message = "no address to listen on"
        raise ValueError(message)
    each = [
        (host, port)
        for name, port in parsed
        for host in (LOOPBACKS if name.lower() == LOCALHOST else (name,))
    ]
    return list(dict.fromkeys(each))


def client_addresses(server: Server) -> Iterator[tuple[str, list[tuple[str, int]]]]:
    """Each key of `[server]` that has addresses for clients, and these. Raises ValueError."""
    yield "listen", listen_addresses(server.listen)
    if server.ollama_listen:
        yield "ollama_listen", listen_addresses(server.ollama_listen)


def is_local(address: str) -> bool:
    """Whether only this machine can connect: `host:port` of a loopback address, or the path of a Unix socket."""
    if address.startswith("/"):
        return True
    authority = parse_authority(address)
    return authority is not None and authority[0] not in WILDCARDS and is_loopback_host(authority[0])


def exposed_addresses(addresses: Sequence[str]) -> tuple[str, ...]:
    """Those `host:port` to which other machines can connect."""
    return tuple(address for address in addresses if not is_local(address))

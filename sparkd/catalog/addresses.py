"""Parses the address to listen on, `host:port`."""

from __future__ import annotations

import re
import socket

_listen = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<host>[A-Za-z0-9._-]+)):(?P<port>[0-9]{1,5})")


def parse_listen(listen: str) -> tuple[str, int]:
    """Host (an IPv6 host without its brackets) and port of `server.listen`. Port 0 means a free port.

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

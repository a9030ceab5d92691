"""The user whose process has opened a connection from this machine: every user can connect to loopback."""

from __future__ import annotations

import ipaddress
import sys
from pathlib import Path
from typing import Final

ESTABLISHED: Final = "01"
Address = tuple[str, int]


def find_user(client: Address, server: Address) -> int | None:
    """The user whose process has opened the connection from `client` to `server`. None if that cannot be known.

    A connection that its process has closed belongs to root in the kernel's table. So only an open one counts, and it
    must be open before and after its user was read: a process could close it in between.
    """
    first, second = (_read_user(client, server) for _ in range(2))
    return first if first == second else None


def _read_user(client: Address, server: Address) -> int | None:
    is_v6 = ":" in client[0]
    local, remote = _encode(client), _encode(server)
    try:
        lines = Path("/proc/net/tcp6" if is_v6 else "/proc/net/tcp").read_text().splitlines()
    except OSError:
        return None
    for line in lines[1:]:
        fields = line.split()
        if fields[1:4] == [local, remote, ESTABLISHED]:
            return int(fields[7])
    return None


def _encode(address: Address) -> str:
    """An address as proc_net_tcp(5) writes it: units of 32 bits in the order of bytes of the machine."""
    packed = ipaddress.ip_address(address[0]).packed
    parts = [packed[begin : begin + 4] for begin in range(0, len(packed), 4)]
    if sys.byteorder == "little":
        parts = [part[::-1] for part in parts]
    return f"{b''.join(parts).hex().upper()}:{address[1]:04X}"

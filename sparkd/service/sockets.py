"""The doors: listening sockets, ours or handed over by systemd (protocol: sd_listen_fds(3))."""

from __future__ import annotations

import errno
import os
import socket
import stat
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sparkd.errors import ListenError
from sparkd.service.unix_sockets import socket_address

FIRST_FD: Final = 3
"""SD_LISTEN_FDS_START."""

BACKLOG: Final = 4096
"""Connections that may wait while the daemon starts or restarts; the kernel cuts it to net.core.somaxconn."""

CONTROL: Final = "control"
"""FileDescriptorName= of the control socket's unit; every other socket handed over is a door for clients."""


@dataclass(slots=True)
class Doors:
    """Listening sockets."""

    clients: list[socket.socket] = field(default_factory=list)
    control: list[socket.socket] = field(default_factory=list)


def inherited() -> Doors:
    """Take over what systemd handed to this process; engines started later know nothing of it."""
    found = Doors()
    count, pid = os.environ.pop("LISTEN_FDS", "0"), os.environ.pop("LISTEN_PID", "")
    names = os.environ.pop("LISTEN_FDNAMES", "").split(":")
    if pid != str(os.getpid()) or not count.isdigit():
        return found
    for index in range(int(count)):
        door = adopt(FIRST_FD + index)
        named = names[index] if index < len(names) else ""
        (found.control if named == CONTROL else found.clients).append(door)
    return found


def adopt(descriptor: int) -> socket.socket:
    """A door that is open already; engines started later know nothing of it."""
    door = socket.socket(fileno=descriptor)
    os.set_inheritable(descriptor, False)
    door.setblocking(False)
    return door


def listen_tcp(host: str, port: int) -> socket.socket:
    """Open a TCP door. Raises ListenError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    door = socket.socket(family, socket.SOCK_STREAM)
    door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        door.bind((host, port))
        door.listen(BACKLOG)
    except OSError as error:
        door.close()
        if error.errno == errno.EADDRINUSE:
            raise ListenError(
                f"{host}:{port} is taken by another program; `ss -ltnp 'sport = :{port}'` names it, and "
                "server.listen in the catalogue chooses another port"
            ) from error
        raise ListenError(f"cannot listen on {host}:{port}: {error.strerror}") from error
    door.setblocking(False)
    return door


def listen_unix(path: Path) -> socket.socket:
    """Open a Unix door that only our own user may enter, in place of one that a killed daemon left.

    Raises ListenError. The caller has made sure that no living daemon uses that folder.
    """
    with suppress(OSError):
        if stat.S_ISSOCK(path.lstat().st_mode):
            path.unlink()
    door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        with socket_address(path) as address:
            door.bind(address)
        door.listen(BACKLOG)
    except OSError as error:
        door.close()
        raise ListenError(f"cannot listen on {path}: {error.strerror or error}") from error
    finally:
        os.umask(before)
    door.setblocking(False)
    return door


def name(door: socket.socket) -> str:
    """What an operator calls a door: `host:port`, or the path of a Unix socket."""
    bound = door.getsockname()
    if not isinstance(bound, tuple):
        return str(bound)
    host, port = bound[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

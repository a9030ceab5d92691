"""Listening sockets, opened by the daemon or passed by systemd (protocol: sd_listen_fds(3))."""

from __future__ import annotations

import errno
import os
import socket
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from msgspec import Struct, field

from sparkd.errors import ListenError
from sparkd.service.unix_sockets import socket_address

FIRST_LISTEN_FD: Final = 3
"""SD_LISTEN_FDS_START."""

BACKLOG: Final = 4096
"""Connections that may wait while the daemon starts or restarts. The kernel limits it to net.core.somaxconn."""

CONTROL_NAME: Final = "control"
"""FileDescriptorName= of the control socket's unit; every other socket that systemd passes is for clients."""


class Listeners(Struct):
    """Listening sockets."""

    clients: list[socket.socket] = field(default_factory=list)
    control: list[socket.socket] = field(default_factory=list)


def take_systemd_sockets() -> Listeners:
    """Return the sockets that systemd passed to this process. Engines do not inherit them or their variables."""
    listeners = Listeners()
    count, pid = os.environ.pop("LISTEN_FDS", "0"), os.environ.pop("LISTEN_PID", "")
    names = os.environ.pop("LISTEN_FDNAMES", "").split(":")
    if pid != str(os.getpid()) or not count.isdigit():
        return listeners
    for index in range(int(count)):
        listener = adopt_socket(FIRST_LISTEN_FD + index)
        fd_name = names[index] if index < len(names) else ""
        (listeners.control if fd_name == CONTROL_NAME else listeners.clients).append(listener)
    return listeners


def adopt_socket(descriptor: int) -> socket.socket:
    """Wrap a listening socket that is already open. Engines do not inherit it."""
    listener = socket.socket(fileno=descriptor)
    os.set_inheritable(descriptor, False)
    listener.setblocking(False)
    return listener


def listen_tcp(host: str, port: int) -> socket.socket:
    """Listen on a TCP port. Raises ListenError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise ListenError(
                f"{host}:{port} is in use by another program. Run `ss -ltnp 'sport = :{port}'` to see which one, "
                "or set server.listen in the catalogue to another port"
            ) from error
        raise ListenError(f"cannot listen on {host}:{port}: {error.strerror}") from error
    listener.setblocking(False)
    return listener


def listen_unix(path: Path) -> socket.socket:
    """Listen on a Unix socket that only our own user may connect to. Replaces the socket of a killed daemon.

    Raises ListenError. The caller must make sure that no running daemon uses the folder.
    """
    with suppress(OSError):
        if stat.S_ISSOCK(path.lstat().st_mode):
            path.unlink()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    old_umask = os.umask(0o177)
    try:
        with socket_address(path) as address:
            listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise ListenError(f"cannot listen on {path}: {error.strerror or error}") from error
    finally:
        os.umask(old_umask)
    listener.setblocking(False)
    return listener


def format_address(listener: socket.socket) -> str:
    """Return the socket's address as text: `host:port`, or the path of a Unix socket."""
    address = listener.getsockname()
    if not isinstance(address, tuple):
        return str(address)
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

"""Listening sockets, opened by the daemon or passed by systemd (protocol: sd_listen_fds(3))."""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Sequence
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


OLLAMA_NAME: Final = "ollama"
"""FileDescriptorName= of the second port for clients. It comes last: the first address is that of sparkd itself."""


class Listeners(Struct):
    """Listening sockets."""

    clients: list[socket.socket] = field(default_factory=list)
    control: list[socket.socket] = field(default_factory=list)


def take_systemd_sockets() -> Listeners:
    """Return the sockets that systemd passed to this process. Engines do not inherit them or their variables."""
    listeners, second = Listeners(), list[socket.socket]()
    count, pid = os.environ.pop("LISTEN_FDS", "0"), os.environ.pop("LISTEN_PID", "")
    names = os.environ.pop("LISTEN_FDNAMES", "").split(":")
    if pid != str(os.getpid()) or not count.isdigit():
        return listeners
    for index in range(int(count)):
        listener = adopt_socket(FIRST_LISTEN_FD + index)
        fd_name = names[index] if index < len(names) else ""
        (listeners.control if fd_name == CONTROL_NAME else listeners.clients).append(listener)
        if fd_name == OLLAMA_NAME:
            second.append(listener)
    listeners.clients.sort(key=second.__contains__)
    return listeners


def adopt_socket(descriptor: int) -> socket.socket:
    """Wrap a listening socket that is already open. Engines do not inherit it."""
    listener = socket.socket(fileno=descriptor)
    os.set_inheritable(descriptor, False)
    listener.setblocking(False)
    return listener


def listen_tcp(addresses: Sequence[tuple[str, int]], key: str = "listen") -> list[socket.socket]:
    """Listen on each address. A machine without IPv6 has no ::1, which is left out beside other addresses.

    Where the port is 0, all get the same free port. `key` of `[server]` has the addresses, for errors. Raises
    ListenError; then none is open.
    """
    if any(host != "::1" for host, _ in addresses) and not _has_ipv6_loopback():
        addresses = [address for address in addresses if address[0] != "::1"]
    listeners: list[socket.socket] = []
    try:
        for host, port in addresses:
            chosen = port or (listeners[0].getsockname()[1] if listeners else 0)
            also_ipv4 = ("0.0.0.0", port) not in addresses  # noqa: S104
            listeners.append(_listen_tcp(host, chosen, key, also_ipv4=also_ipv4))
    except ListenError:
        for listener in listeners:
            listener.close()
        raise
    return listeners


def _has_ipv6_loopback() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def _listen_tcp(host: str, port: int, key: str, *, also_ipv4: bool) -> socket.socket:
    """Listen on one address. `also_ipv4`: [::] takes IPv4 connections as well. Raises ListenError."""
    address = _join(host, port)
    try:
        listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    except OSError as error:
        raise ListenError(f"cannot listen on {address}: {error.strerror}") from error
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if host == "::":
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not also_ipv4)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise ListenError(
                f"{address} is in use by another program. Run `ss -ltnp 'sport = :{port}'` to see which one, "
                f"or set server.{key} in the catalogue to another port"
            ) from error
        raise ListenError(f"cannot listen on {address}: {error.strerror}") from error
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
    return _join(host, port)


def _join(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

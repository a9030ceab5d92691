"""Connections to a port of the loopback interface continue on the control socket."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Collection
from pathlib import Path
from typing import Final

from sparkd.cli.ui.peers import Address, find_user
from sparkd.service.unix_sockets import socket_address

PIECE: Final = 65536
NOT_ALLOWED: Final = "This page is only for the user who has started `sparkctl ui`.\n"
NOT_RUNNING: Final = "sparkd is not running, or restarts. `sparkctl ui` waits for it: reload the page.\n"


def listen(port: int | None, preferred: int) -> list[socket.socket]:
    """Listen on the loopback addresses of this machine, and nowhere else. None for a free port, `preferred` if it is.

    Raises OSError if `port` is in use.
    """
    try:
        first = _bind(socket.AF_INET, "127.0.0.1", preferred if port is None else port)
    except OSError:
        if port is not None:
            raise
        first = _bind(socket.AF_INET, "127.0.0.1", 0)
    listeners = [first]
    # Some programs try ::1 first for localhost, where another user's program could listen.
    with contextlib.suppress(OSError):
        listeners.append(_bind(socket.AF_INET6, "::1", first.getsockname()[1]))
    return listeners


class Bridge:
    """Passes bytes between the port and the control socket, for processes of `users` only."""

    def __init__(self, control_socket: Path, users: Collection[int]) -> None:
        self._socket = control_socket
        self._users = users

    async def serve(self, listeners: Collection[socket.socket]) -> None:
        """Serve until cancelled."""
        servers = [await asyncio.start_server(self._connect, sock=listener) for listener in listeners]
        async with contextlib.AsyncExitStack() as stack:
            for server in servers:
                await stack.enter_async_context(server)
            await asyncio.gather(*(server.serve_forever() for server in servers))

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            client: Address = writer.get_extra_info("peername")[:2]
            server: Address = writer.get_extra_info("sockname")[:2]
            if await asyncio.to_thread(find_user, client, server) not in self._users:
                await _refuse(writer, "403 Forbidden", NOT_ALLOWED)
                return
            try:
                with socket_address(self._socket) as address:
                    engine_side = await asyncio.open_unix_connection(address)
            except OSError:
                await _refuse(writer, "503 Service Unavailable", NOT_RUNNING)
                return
            await _join((reader, writer), engine_side)
        writer.close()


async def _join(
    one: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    other: tuple[asyncio.StreamReader, asyncio.StreamWriter],
) -> None:
    """Pass bytes both ways until one side has closed its connection."""
    pumps = [
        asyncio.ensure_future(_pump(one[0], other[1])),
        asyncio.ensure_future(_pump(other[0], one[1])),
    ]
    try:
        # The end of the daemon's response ends the connection. A client may have ended its own side before.
        await asyncio.wait((pumps[1],))
    finally:
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)
        for _, writer in (one, other):
            writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while piece := await reader.read(PIECE):
            writer.write(piece)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()


async def _refuse(writer: asyncio.StreamWriter, status: str, text: str) -> None:
    head = f"HTTP/1.1 {status}\r\ncontent-type: text/plain\r\ncontent-length: {len(text)}\r\nconnection: close\r\n\r\n"
    writer.write((head + text).encode())
    await writer.drain()
    writer.close()


def _bind(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    listener = socket.socket(family)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener

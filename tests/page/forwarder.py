"""A local TCP port for a Unix socket, as `ssh -L 8010:/run/sparkd/control.sock HOST` makes one."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def forward(socket: Path) -> Iterator[int]:
    """Forward a free port of 127.0.0.1 to `socket` until the block ends; yield the port."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="forwarder")
    thread.start()
    forwarder = _Forwarder(socket)
    try:
        yield asyncio.run_coroutine_threadsafe(forwarder.open(), loop).result()
    finally:
        asyncio.run_coroutine_threadsafe(forwarder.close(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


class _Forwarder:
    """Copies bytes both ways, and no faster than they are read."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._connections: set[asyncio.Task[None]] = set()

    async def open(self) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1")
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def close(self) -> None:
        self._server.close()
        for task in tuple(self._connections):
            task.cancel()
        if self._connections:
            await asyncio.wait(self._connections)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)
        with contextlib.suppress(
            OSError, asyncio.CancelledError
        ):  # no daemon listens, or one side has closed
            await self._copy_both(reader, writer)
        writer.close()

    async def _copy_both(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answer, request = await asyncio.open_unix_connection(str(self._socket))
        try:
            copies = {
                asyncio.ensure_future(_copy(reader, request)),
                asyncio.ensure_future(_copy(answer, writer)),
            }
            try:
                await asyncio.wait(copies, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for copy in copies:
                    copy.cancel()
                await asyncio.gather(*copies, return_exceptions=True)
        finally:
            request.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()

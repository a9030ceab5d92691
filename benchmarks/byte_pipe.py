"""A byte pipe: copies bytes between two sockets and parses nothing. Opens one connection to the engine per client.

byte_pipe.py PORT ENGINE-PORT
"""

from __future__ import annotations

import asyncio
import sys
from typing import cast

import uvloop


class End(asyncio.Protocol):
    """One end of a pipe: writes what it reads to the other end."""

    def __init__(self, other: End | None = None) -> None:
        self.other = other
        self.early: list[bytes] = []
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        if self.other is None:
            self.dialling = asyncio.ensure_future(self.dial())

    async def dial(self) -> None:
        loop = asyncio.get_running_loop()
        _, self.other = await loop.create_connection(lambda: End(self), "127.0.0.1", int(sys.argv[2]))
        self.other.transport.writelines(self.early)

    def data_received(self, data: bytes) -> None:
        if self.other is None:
            self.early.append(data)
        else:
            self.other.transport.write(data)

    def connection_lost(self, _: Exception | None) -> None:
        if self.other is not None:
            self.other.transport.close()

    def pause_writing(self) -> None:
        if self.other is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None:
            self.other.transport.resume_reading()


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(End, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())

"""Scripted engines, and the least of HTTP that tests need to play engines and clients.

A script gets `(reader, writer)` for each connection and does with it what a test wants.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sparkd.engines.engine import UnixAddress
from sparkd.upstream.client import Upstream

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
SSE = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body; the last one for no data."""
    return b"%x\r\n%s\r\n" % (len(data), data)


@dataclass
class Asked:
    """A request as an engine saw it."""

    line: str
    headers: list[tuple[str, str]]
    body: bytes = b""

    def header(self, name: str) -> str | None:
        """The last value of a header."""
        return dict(self.headers).get(name)


async def read_request(reader: asyncio.StreamReader, *, body: bool = True) -> Asked:
    """Read a request's head and, if wanted, its body."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    line, *lines = head.rstrip("\r\n").split("\r\n")
    pairs = [line.split(": ", 1) for line in lines]
    asked = Asked(line, [(pair[0], pair[1] if len(pair) > 1 else "") for pair in pairs])
    if body:
        asked.body = await read_body(reader, asked)
    return asked


async def read_body(reader: asyncio.StreamReader, asked: Asked) -> bytes:
    """Read the body that belongs to a head."""
    if asked.header("transfer-encoding") != "chunked":
        return await reader.readexactly(int(asked.header("content-length") or 0))
    pieces = []
    while size := int(await reader.readline(), 16):
        pieces.append(await reader.readexactly(size))
        await reader.readexactly(2)
    await reader.readexactly(2)
    return b"".join(pieces)


def answering(*answers: bytes, asked: list[Asked] | None = None) -> Script:
    """An engine that reads request after request and gives these answers in turn, then the last one again."""
    turns = itertools.chain(answers, itertools.repeat(answers[-1]))

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            request = await read_request(reader)
            if asked is not None:
                asked.append(request)
            writer.write(next(turns))
            await writer.drain()

    return script


class Engine:
    """A scripted engine on a Unix socket. `connections` counts those that were made."""

    def __init__(self, path: Path, script: Script) -> None:
        self.path = path
        self.script = script
        self.connections = 0
        self.open = 0
        self._none_open = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Engine:
        self._server = await asyncio.start_unix_server(self._connected, self.path, limit=2**20)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def upstream(self) -> Upstream:
        """A client for it."""
        return Upstream(UnixAddress(str(self.path)))

    async def closed(self) -> None:
        """Return once no connection is open."""
        while self.open:
            self._none_open.clear()
            await self._none_open.wait()

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._play(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _play(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        try:
            await self.script(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            self.open -= 1
            self._none_open.set()
            writer.close()


@dataclass
class Answer:
    """An answer as a client saw it."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        """The only value of a header."""
        values = [value for key, value in self.headers if key == name]
        assert len(values) < 2, values
        return values[0] if values else None

    @property
    def json(self) -> Any:
        """The body, read as JSON."""
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The `code` of an OpenAI-shaped error."""
        code: str = self.json["error"]["code"]
        return code


async def read_answer(reader: asyncio.StreamReader, *, head_only: bool = False) -> Answer:
    """Read one answer, and not a byte more."""
    asked = await read_request(reader, body=False)
    answer = Answer(int(asked.line.split()[1]), asked.headers, b"")
    if not head_only and answer.status not in (204, 304):
        answer.body = await read_body(reader, asked)
    return answer


def request(
    body: bytes = b'{"model":"m"}', path: str = "/v1/chat/completions", method: str = "POST", extra: str = ""
) -> bytes:
    """A raw JSON request; `extra` is header lines, each with its line break."""
    head = f"{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n{extra}"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body

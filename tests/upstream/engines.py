"""Shared by tests of the engine client: a sink that keeps everything, and engines that respond respond once."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from sparkd.engines.engine import UnixAddress
from sparkd.upstream.client import EngineRequest, Upstream
from sparkd.upstream.connection import Flow
from sparkd.upstream.headers import Headers
from tests.gateway.engines import Engine, Script, read_request
from tests.gateway.gateways import run

GET = EngineRequest(b"GET", b"/v1/x", [])
POST = EngineRequest(b"POST", b"/v1/x", [], b'{"model":"m"}')


class RecordingSink:
    """A sink that keeps everything and may pause the engine."""

    def __init__(self) -> None:
        self.status: int | None = None
        self.headers: Headers = []
        self.pieces: list[bytes] = []
        self.ended = False
        self.flow: Flow | None = None
        self.got = asyncio.Event()

    @property
    def text(self) -> bytes:
        return b"".join(self.pieces)

    def head(self, status: int, headers: Headers, flow: Flow) -> None:
        assert self.status is None
        self.status, self.headers, self.flow = status, headers, flow
        self.got.set()

    def body(self, data: bytes, *, more: bool) -> None:
        assert not self.ended
        self.pieces.append(data)
        self.ended = not more
        self.got.set()


def with_engine(
    script: Script, test: Callable[[Engine, Upstream], Awaitable[None]], **options: float
) -> None:
    """Run a test with an engine and its client."""

    async def run_test() -> None:
        with tempfile.TemporaryDirectory() as folder:
            async with Engine(Path(folder) / "s", script) as engine:
                upstream = Upstream(UnixAddress(str(engine.path)), **options)
                await test(engine, upstream)
                await upstream.close()

    run(run_test)


async def ask(upstream: Upstream, request: EngineRequest = GET) -> RecordingSink:
    sink = RecordingSink()
    await upstream.exchange(request, sink)
    return sink


def respond_once(answer: bytes, *, close: bool = True) -> Script:
    """Return an engine that answers one request with these bytes, then disconnects or stays silent."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(answer)
        if not close:
            await reader.read()

    return script

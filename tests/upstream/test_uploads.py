"""Request bodies that are passed on to an engine as they arrive."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from sparkd.upstream.client import EngineRequest, Upstream
from tests.gateway.engines import OK, Asked, Engine, answering, read_request
from tests.upstream.engines import ask, with_engine


async def pieces(*data: bytes, then: float = 0.0) -> AsyncIterator[bytes]:
    for piece in data:
        yield piece
    await asyncio.sleep(then)


@pytest.mark.parametrize("length", [None, 9])
def test_an_upload_is_passed_on_in_chunks_or_by_length(length: int | None) -> None:
    seen: list[Asked] = []

    async def test(_: Engine, upstream: Upstream) -> None:
        body = pieces(b"abc", b"def", b"ghi")
        assert (await ask(upstream, EngineRequest(b"POST", b"/x", [], body, length))).text == b"{}"
        assert seen[0].body == b"abcdefghi"
        assert seen[0].header("content-length") == (None if length is None else "9")

    with_engine(answering(OK, asked=seen), test)


def test_an_upload_uses_a_new_connection_which_may_then_be_used_again() -> None:
    async def test(engine: Engine, upstream: Upstream) -> None:
        await ask(upstream)
        await ask(upstream, EngineRequest(b"POST", b"/x", [], pieces(b"a"), None))
        assert engine.connections == 2
        await ask(upstream)
        assert engine.connections == 2

    with_engine(answering(OK), test)


def test_an_early_response_to_an_upload_is_passed_on_and_ends_the_connection() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader, body=False)
        writer.write(b"HTTP/1.1 413 No\r\ncontent-length: 2\r\n\r\nno")
        await reader.read()

    async def test(engine: Engine, upstream: Upstream) -> None:
        exchange = ask(upstream, EngineRequest(b"POST", b"/x", [], pieces(b"abc", then=600), 100))
        sink = await asyncio.wait_for(exchange, 60)
        assert (sink.status, sink.text) == (413, b"no")
        await engine.closed()

    with_engine(script, test)


def test_an_exception_of_the_body_ends_the_exchange() -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"abc"
        raise KeyError

    async def test(engine: Engine, upstream: Upstream) -> None:
        with pytest.raises(KeyError):
            await ask(upstream, EngineRequest(b"POST", b"/x", [], broken(), None))
        await engine.closed()

    with_engine(answering(OK), test)


def test_an_upload_waits_for_an_engine_that_reads_slowly() -> None:
    given = 0
    reading = asyncio.Event()

    async def many() -> AsyncIterator[bytes]:
        nonlocal given
        for _ in range(1000):
            given += 65536
            yield bytes(65536)

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader, body=False)
        await reading.wait()
        await reader.readexactly(65536 * 1000)
        writer.write(OK)

    async def test(_: Engine, upstream: Upstream) -> None:
        exchange = asyncio.ensure_future(
            ask(upstream, EngineRequest(b"POST", b"/x", [], many(), 65536 * 1000))
        )
        await asyncio.sleep(0.2)
        assert given < 4 * 2**20
        reading.set()
        assert (await exchange).status == 200
        assert given == 65536 * 1000

    with_engine(script, test)

"""How the gateway reports the end of a request to its lease: which requests an engine failed to answer."""

from __future__ import annotations

import asyncio

import pytest

from tests.gateway.engines import OK, SSE, Script, answering, chunk, read_request, request
from tests.gateway.gateways import House, house, run, until

DELTA = b'data: {"choices":[{"delta":{"content":"\\n\\ndata: {\\"error\\""}}]}\n\n'
ERROR = b'data: {"error":{}}\n\n'
DONE = b"data: [DONE]\n\n"
NOT_FOUND = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"
FAILED = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n"
ENDS = {
    "an answer": ([OK], 200),
    "a 404": ([NOT_FOUND], 404),
    "a 500": ([FAILED], 500),
    "a stream": ([SSE, chunk(DELTA), chunk(DONE), chunk(b"")], 200),
    "an error event in one piece": ([SSE + chunk(DELTA) + chunk(ERROR) + chunk(DONE) + chunk(b"")], 500),
    "an error event in many": ([SSE, chunk(DELTA), chunk(ERROR), chunk(DONE), chunk(b"")], 500),
    "of messages": ([SSE, chunk(b'event: error\ndata: {"type":"error"}\n\n'), chunk(b"")], 500),
    "of responses": ([SSE, chunk(b'event: response.failed\ndata: {}\n\n'), chunk(b"")], 500),
    "nothing": ([b""], 502),
    "half a stream": ([SSE, chunk(DELTA)], 502),
}  # fmt: skip


def pieces(*parts: bytes, times: int = 1) -> Script:
    """An engine that answers a number of requests well, then one with these pieces, and closes the connection."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(times - 1):
            await read_request(reader)
            writer.write(OK)
        await read_request(reader)
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0.01)

    return script


async def send(here: House) -> None:
    """Send a request and read until its lease is given back."""
    _, writer = await here.connect()
    before = len(here.supervisor.outcomes)
    writer.write(request())
    await until(lambda: len(here.supervisor.outcomes) > before)


@pytest.mark.parametrize(("parts", "status"), ENDS.values(), ids=ENDS)
def test_the_lease_gets_the_status_of_the_end(parts: list[bytes], status: int) -> None:
    async def test() -> None:
        async with house(pieces(*parts)) as here:
            await send(here)
            assert here.supervisor.outcomes == [status]

    run(test)


@pytest.mark.parametrize(("parts", "status"), ENDS.values(), ids=ENDS)
def test_so_it_does_on_a_connection_that_is_kept(parts: list[bytes], status: int) -> None:
    async def test() -> None:
        async with house(pieces(*parts, times=2)) as here:
            await send(here)
            here.engine.path.unlink()  # an engine that has failed accepts no other connection
            await send(here)
            assert here.supervisor.outcomes == [200, status]

    run(test)


def test_a_request_that_was_not_sent_has_no_status() -> None:
    async def test() -> None:
        async with house() as here:
            here.engine.path.unlink()
            await send(here)
            assert here.supervisor.outcomes == [0]

    run(test)


def test_a_client_that_leaves_has_no_status() -> None:
    async def test() -> None:
        async with house(answering(SSE + chunk(DELTA))) as here:
            reader, writer = await here.connect()
            writer.write(request())
            await reader.readuntil(b"delta")
            writer.close()
            await until(lambda: here.supervisor.outcomes == [0])

    run(test)

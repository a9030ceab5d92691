"""Clients that are slow, broken, greedy or unusual."""

from __future__ import annotations

import asyncio

import pytest

from tests.gateway.engines import OK, SSE, Asked, answering, chunk, read_answer, request
from tests.gateway.gateways import house, run


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # somebody speaks TLS
        b"hello\r\n\r\n",
        b"GET /a b HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nbad header\r\n\r\n",
        b"GET / HTTP/1.1\r\nx: a\x00b\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
        b"CONNECT example.org:443 HTTP/1.1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
def test_what_is_not_http_gets_400_and_the_door(garbage: bytes) -> None:
    async def test() -> None:
        async with house() as here:
            reader, writer = await here.connect()
            writer.write(garbage)
            answer = await read_answer(reader)
            assert (answer.status, answer.code) == (400, "invalid_request")
            assert await reader.read() == b""
            assert (await here.ask(request())).status == 200

    run(test)


def test_garbage_behind_a_request_never_gets_into_its_answer() -> None:
    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"}")
        await asyncio.sleep(0.05)
        writer.write(OK)

    async def test() -> None:
        async with house(slow) as here:
            reader, writer = await here.connect()
            writer.write(request() + b"\x00\x01garbage\r\n\r\n")
            assert await reader.read() == b""

    run(test)


@pytest.mark.parametrize("sent", [b"", b"POST /v1/chat", b"POST /v1/m/x HTTP/1.1\r\nx-a: b\r\n", b"\r\n\r\n"])
def test_a_head_that_does_not_come_closes_the_connection(sent: bytes) -> None:
    async def test() -> None:
        async with house(head_timeout=0.1) as here:
            reader, writer = await here.connect()
            writer.write(sent)
            async with asyncio.timeout(1):
                assert await reader.read() == b""

    run(test)


def test_a_second_head_that_does_not_come_whole_closes_the_connection() -> None:
    async def test() -> None:
        async with house(head_timeout=0.1) as here:
            reader, writer = await here.connect()
            for _ in range(3):
                writer.write(request())
                assert (await read_answer(reader)).status == 200
                await asyncio.sleep(0.15)  # idle is not slow
            writer.write(b"POST /v1/chat")
            async with asyncio.timeout(1):
                assert await reader.read() == b""

    run(test)


def test_a_long_answer_is_not_mistaken_for_a_slow_head() -> None:
    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"}")
        await asyncio.sleep(0.3)
        writer.write(OK)

    async def test() -> None:
        async with house(slow, head_timeout=0.1) as here:
            assert (await here.ask(request())).status == 200

    run(test)


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/m/audio/transcriptions"])
def test_a_body_that_stalls_is_refused(path: str) -> None:
    async def test() -> None:
        async with house(body_stall=0.1) as here:
            reader, writer = await here.connect()
            kind = "multipart/form-data; boundary=x" if "audio" in path else "text/plain"
            head = f"POST {path} HTTP/1.1\r\ncontent-type: {kind}\r\ncontent-length: 100\r\n\r\n"
            writer.write(head.encode() + b"some")
            async with asyncio.timeout(1):
                answer = await read_answer(reader)
            assert (answer.status, answer.code) == (408, "request_timeout")
            assert here.supervisor.held == 0

    run(test)


def test_a_request_that_comes_byte_by_byte_is_served() -> None:
    seen: list[Asked] = []

    async def test() -> None:
        async with house(answering(OK, asked=seen)) as here:
            reader, writer = await here.connect()
            body = '{"model":"m","x":"größer 😀"}'.encode()
            for byte in request(body):
                writer.write(bytes([byte]))
                await asyncio.sleep(0)
            assert (await read_answer(reader)).status == 200
            assert seen[0].body == body

    run(test)


def test_a_head_that_grows_without_end_is_refused() -> None:
    async def test() -> None:
        async with house() as here:
            reader, writer = await here.connect()
            answer = asyncio.ensure_future(read_answer(reader))
            writer.write(b"GET /v1/models HTTP/1.1\r\n")
            sent = 0
            while not answer.done() and sent < 2**23:
                writer.write(b"x-a: " + b"a" * 8000 + b"\r\n")
                sent += 8000
                await asyncio.sleep(0.001)
            assert ((await answer).status, answer.result().code) == (431, "headers_too_large")
            assert sent < 2**20

    run(test)


def test_a_transfer_coding_that_nobody_can_read_closes_the_connection() -> None:
    async def test() -> None:
        async with house() as here:
            reader, writer = await here.connect()
            writer.write(b"POST /v1/m/x HTTP/1.1\r\ntransfer-encoding: gzip\r\n\r\nabc")
            assert await reader.read() == b""
            await here.engine.closed()

    run(test)


def test_pipelined_requests_are_answered_in_order() -> None:
    async def test() -> None:
        answers = [b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n%d" % n for n in range(5)]
        async with house(answering(*answers)) as here:
            reader, writer = await here.connect()
            writer.write(request() * 5)
            assert [(await read_answer(reader)).body for _ in range(5)] == [b"0", b"1", b"2", b"3", b"4"]

    run(test)


@pytest.mark.parametrize("size", [13, 500_000])
def test_an_offer_to_upgrade_to_http_2_is_ignored_and_its_body_is_not_lost(size: int) -> None:
    seen: list[Asked] = []
    extra = (
        "connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQBAAAAAAIAAAAA\r\n"
    )
    body = b'{"model":"m"' + b" " * (size - 13) + b"}"

    async def test() -> None:
        async with house(answering(OK, asked=seen)) as here:
            reader, writer = await here.connect()
            for _ in range(2):
                writer.write(request(body, extra=extra))
                assert (await read_answer(reader)).status == 200
            assert [asked.body for asked in seen] == [body, body]
            assert seen[0].header("upgrade") is None

    run(test)


def test_a_client_of_http_1_0_is_answered_and_closed() -> None:
    async def test() -> None:
        async with house() as here:
            reader, writer = await here.connect()
            writer.write(request().replace(b"HTTP/1.1", b"HTTP/1.0"))
            answer = await reader.read()
            assert answer.endswith(b"{}")
            assert b"connection: close" in answer

    run(test)


def test_a_client_of_http_1_0_gets_a_stream_until_the_end_of_the_connection() -> None:
    async def test() -> None:
        async with house(answering(SSE + chunk(b"ab") + chunk(b"cd") + chunk(b""))) as here:
            reader, writer = await here.connect()
            writer.write(request(extra="connection: keep-alive\r\n").replace(b"HTTP/1.1", b"HTTP/1.0"))
            head, body = (await reader.read()).split(b"\r\n\r\n")
            assert body == b"abcd"
            assert b"transfer-encoding" not in head
            assert b"connection: close" in head

    run(test)


def test_an_absolute_url_is_served_by_its_path() -> None:
    async def test() -> None:
        async with house() as here:
            assert (await here.ask(request(path="http://elsewhere/v1/chat/completions"))).status == 200

    run(test)

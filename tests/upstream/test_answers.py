"""Responses of engines, and how special cases of HTTP/1.1 are handled."""

from __future__ import annotations

import asyncio

import pytest

from sparkd.errors import UpstreamError
from sparkd.upstream.client import EngineRequest, Upstream
from sparkd.upstream.headers import Headers
from tests.gateway.engines import OK, SSE, Asked, Engine, answering, chunk, read_request
from tests.upstream.engines import POST, ask, respond_once, with_engine


@pytest.mark.parametrize(
    "interim", [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n"]
)
def test_interim_responses_are_ignored(interim: bytes) -> None:
    async def test(engine: Engine, upstream: Upstream) -> None:
        sink = await ask(upstream, POST)
        assert (sink.status, sink.text) == (200, b"{}")
        assert b"link" not in dict(sink.headers)
        await ask(upstream, POST)
        assert engine.connections == 1

    with_engine(answering(interim + OK, OK), test)


def test_switching_protocols_is_an_error() -> None:
    async def test(_: Engine, upstream: Upstream) -> None:
        with pytest.raises(UpstreamError, match="switched protocols"):
            await ask(upstream)

    with_engine(
        respond_once(b"HTTP/1.1 101 Go\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n", close=False),
        test,
    )


@pytest.mark.parametrize("status", [204, 304])
def test_responses_without_a_body_end_with_their_headers(status: int) -> None:
    async def test(engine: Engine, upstream: Upstream) -> None:
        for _ in range(2):
            sink = await ask(upstream)
            assert (sink.status, sink.text, sink.ended) == (status, b"", True)
        assert engine.connections == 1

    with_engine(answering(b"HTTP/1.1 %d X\r\n\r\n" % status), test)


def test_a_response_to_head_ends_with_its_headers_and_its_connection_is_not_used_again() -> None:
    async def test(engine: Engine, upstream: Upstream) -> None:
        sink = await ask(upstream, EngineRequest(b"HEAD", b"/v1/x", []))
        assert (sink.status, sink.text, sink.ended) == (200, b"", True)
        assert (b"content-length", b"99") in sink.headers
        assert (await ask(upstream)).text == b"{}"
        assert engine.connections == 2

    with_engine(answering(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n", OK), test)


def test_trailers_are_dropped() -> None:
    answer = SSE + chunk(b"data: x\n\n") + b"0\r\nx-checksum: 1\r\n\r\n"

    async def test(engine: Engine, upstream: Upstream) -> None:
        for _ in range(2):
            sink = await ask(upstream)
            assert sink.text == b"data: x\n\n"
            assert b"x-checksum" not in dict(sink.headers)
        assert engine.connections == 1

    with_engine(answering(answer), test)


def test_one_read_is_passed_on_as_one_piece() -> None:
    answer = SSE + b"".join(chunk(b"data: %d\n\n" % n) for n in range(100))

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(answer)
        await asyncio.sleep(0.05)
        writer.write(chunk(b""))

    async def test(_: Engine, upstream: Upstream) -> None:
        sink = await ask(upstream)
        assert len(sink.pieces) <= 3
        assert sink.text.count(b"data:") == 100

    with_engine(script, test)


def test_a_body_without_length_ends_when_the_engine_closes() -> None:
    async def test(_: Engine, upstream: Upstream) -> None:
        sink = await ask(upstream)
        assert (sink.text, sink.ended) == (b"until the end", True)

    with_engine(respond_once(b"HTTP/1.1 200 OK\r\n\r\nuntil the end"), test)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"hello\r\n\r\n", "not valid HTTP"),
        (b"HTTP/1.1 999 Odd\r\ncontent-length: 0\r\n\r\n", "status 999"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "transfer coding"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n", "not valid HTTP"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n", "not valid HTTP"),
        (b"HTTP/1.1 200 OK\r\ncontent-len", "before it responded"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nabc", "middle of its response"),
        (SSE + b"5\r\nab", "middle of its response"),
    ],
)
def test_an_incomplete_or_invalid_response_is_an_error(answer: bytes, message: str) -> None:
    async def test(engine: Engine, upstream: Upstream) -> None:
        with pytest.raises(UpstreamError, match=message):
            await ask(upstream)
        await engine.closed()

    with_engine(respond_once(answer), test)


def test_hop_by_hop_headers_are_dropped_in_both_directions() -> None:
    seen: list[Asked] = []
    answer = (
        b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\nkeep-alive: timeout=5\r\nconnection: X-Own\r\n"
        b"x-own: 1\r\ntrailer: x\r\nproxy-authenticate: no\r\ncontent-length: 2\r\n\r\n{}"
    )
    sent: Headers = [
        (b"host", b"example.org"),
        (b"connection", b"close, X-Mine"),
        (b"x-mine", b"1"),
        (b"te", b"trailers"),
        (b"expect", b"100-continue"),
        (b"upgrade", b"h2c"),
        (b"http2-settings", b"AA"),
        (b"transfer-encoding", b"chunked"),
        (b"content-length", b"999"),
        (b"x-twice", b"1"),
        (b"x-twice", b"2"),
        (b"authorization", b"secret"),
    ]

    async def test(_: Engine, upstream: Upstream) -> None:
        request = EngineRequest(b"POST", b"/v1/x?a=b", sent, b"12345", without=frozenset({b"authorization"}))
        sink = await ask(upstream, request)
        assert sink.headers == [
            (b"set-cookie", b"a=1"),
            (b"set-cookie", b"b=2"),
            (b"content-length", b"2"),
        ]
        assert seen[0].line == "POST /v1/x?a=b HTTP/1.1"
        assert seen[0].headers == [
            ("host", "localhost"),
            ("x-twice", "1"),
            ("x-twice", "2"),
            ("content-length", "5"),
        ]

    with_engine(answering(answer, asked=seen), test)


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_a_response_may_arrive_in_pieces_of_any_size(size: int) -> None:
    answer = SSE + chunk("data: größer\n\n".encode()) + chunk(b"x" * 40) + chunk(b"")

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        for at in range(0, len(answer), size):
            writer.write(answer[at : at + size])
            await asyncio.sleep(0)

    async def test(_: Engine, upstream: Upstream) -> None:
        assert (await ask(upstream)).text == "data: größer\n\n".encode() + b"x" * 40

    with_engine(script, test)

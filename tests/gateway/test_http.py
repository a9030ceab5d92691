"""The server as ASGI applications and clients see it, apart from the gateway."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from sparkd.gateway.connections.server import HttpServer
from tests.gateway.engines import Answer, read_answer
from tests.gateway.gateways import run

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def served(app: ASGIApp, talk: Talk) -> None:
    """Serve an application and talk to it over one connection."""

    async def test() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            server = HttpServer(app)
            await server.start([listener])
            reader, writer = await asyncio.open_connection(*listener.getsockname(), limit=2**20)
            try:
                await talk(reader, writer)
            finally:
                writer.close()
                await server.close()

    run(test)


def answering(status: int, headers: list[tuple[bytes, bytes]], *pieces: bytes) -> ASGIApp:
    """An application that answers this, piece by piece."""

    async def app(_: Scope, __: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": status, "headers": headers})
        for piece in pieces[:-1]:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": pieces[-1]})

    return app


def answer_to(raw: bytes, app: ASGIApp) -> bytes:
    """Everything an application's server sends until it closes."""
    got: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        got.append(await reader.read())

    served(app, talk)
    return got[0]


CLOSE = b"GET /a%20b?c=%20d#e HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"


def test_a_scope_says_what_was_asked() -> None:
    seen: list[Scope] = []

    async def app(scope: Scope, _: Receive, send: Send) -> None:
        seen.append(scope)
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body"})

    answer_to(CLOSE.replace(b"host: ", b"X-A:  b\r\nHost: "), app)
    scope = seen[0]
    assert (scope["method"], scope["path"], scope["raw_path"]) == ("GET", "/a b", b"/a%20b")
    assert (scope["query_string"], scope["http_version"], scope["scheme"]) == (b"c=%20d", "1.1", "http")
    assert scope["headers"] == [(b"x-a", b"b"), (b"host", b"localhost"), (b"connection", b"close")]
    assert scope["client"][0] == scope["server"][0] == "127.0.0.1"


def test_an_answer_of_unknown_length_is_chunked_and_a_large_piece_is_one_chunk() -> None:
    got = answer_to(CLOSE, answering(200, [], b"ab", b"", b"x" * 100_000, b"end"))
    assert b"transfer-encoding: chunked" in got
    body = b"2\r\nab\r\n186a0\r\n" + b"x" * 100_000 + b"\r\n3\r\nend\r\n0\r\n\r\n"
    assert got.endswith(b"\r\n\r\n" + body)


@pytest.mark.parametrize(
    "app",
    [
        answering(200, [(b"content-length", b"1")], b"ab"),
        answering(200, [(b"x", b"a\r\nset-cookie: b")], b"ab"),
        answering(200, [(b"x\n", b"a")], b"ab"),
        answering(600, [], b"ab"),
    ],
)
def test_an_answer_that_http_cannot_carry_is_never_sent_as_if_it_were_whole(app: ASGIApp) -> None:
    got = answer_to(CLOSE, app)
    assert b"set-cookie" not in got
    assert b"ab" not in got


def test_an_application_that_fails_or_says_nothing_gets_500_and_closes_the_connection() -> None:
    async def silent(_: Scope, __: Receive, ___: Send) -> None:
        return

    async def failing(_: Scope, __: Receive, ___: Send) -> None:
        raise KeyError

    assert answer_to(CLOSE, silent).startswith(b"HTTP/1.1 500 ")
    assert answer_to(CLOSE, failing).startswith(b"HTTP/1.1 500 ")


def test_a_body_waits_for_its_reader_and_then_comes_whole() -> None:
    size = 5_000_000
    go_on = asyncio.Event()

    async def app(_: Scope, receive: Receive, send: Send) -> None:
        await go_on.wait()
        got = 0
        more = True
        while more:
            message = await receive()
            got += len(message["body"])
            more = message["more_body"]
        await answering(200, [], b"%d" % got)({}, receive, send)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"POST / HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % size)
        sending = asyncio.ensure_future(_send(writer, size))
        await asyncio.sleep(0.1)
        go_on.set()
        await sending
        assert (await read_answer(reader)).body == b"%d" % size

    async def _send(writer: asyncio.StreamWriter, size: int) -> None:
        for _ in range(size // 50_000):
            writer.write(bytes(50_000))
            await writer.drain()

    served(app, talk)


def test_receive_tells_an_application_when_its_client_leaves() -> None:
    told = asyncio.Event()

    async def app(_: Scope, receive: Receive, __: Send) -> None:
        assert (await receive())["type"] == "http.request"
        assert (await receive())["type"] == "http.disconnect"
        told.set()

    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        await asyncio.sleep(0.02)
        writer.close()
        async with asyncio.timeout(1):
            await told.wait()

    served(app, talk)


def test_requests_sent_ahead_are_answered_in_order_and_one_at_a_time() -> None:
    running = 0

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal running
        running += 1
        assert running == 1
        body = (await receive())["body"]
        await asyncio.sleep(0.005)
        running -= 1
        await answering(200, [], scope["raw_path"] + body)(scope, receive, send)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for n in range(20):
            writer.write(b"POST /%d HTTP/1.1\r\ncontent-length: 2\r\n\r\n%02d" % (n, n))
            if n % 3 == 0:
                await asyncio.sleep(0.004)
        for n in range(20):
            assert (await read_answer(reader)).body == b"/%d%02d" % (n, n)

    served(app, talk)


def test_a_starlette_application_is_served() -> None:
    async def words() -> AsyncIterator[str]:
        for word in ("one ", "two"):
            yield word
            await asyncio.sleep(0)

    async def echo(request: Request) -> Response:
        return PlainTextResponse(await request.body())

    async def stream(_: Request) -> Response:
        return StreamingResponse(words())

    async def broken(_: Request) -> Response:
        raise KeyError

    app = Starlette(
        routes=[
            Route("/echo", echo, methods=["POST"]),
            Route("/stream", stream),
            Route("/broken", broken),
        ]
    )

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"POST /echo HTTP/1.1\r\ncontent-length: 2\r\n\r\nhi")
        assert (await read_answer(reader)).body == b"hi"
        writer.write(b"GET /stream HTTP/1.1\r\n\r\n")
        assert (await read_answer(reader)).body == b"one two"
        writer.write(b"GET /nothing HTTP/1.1\r\n\r\n")
        assert (await read_answer(reader)).status == 404
        writer.write(b"GET /broken HTTP/1.1\r\n\r\n")
        assert (await read_answer(reader)).status == 500

    served(app, talk)


@asynccontextmanager
async def slow_reader(size: int) -> AsyncIterator[tuple[HttpServer, asyncio.StreamWriter, list[int]]]:
    """A server that streams to a client which doesn't read; the list counts the pieces sent."""
    sent = [0]

    async def app(_: Scope, __: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200})
        for _n in range(size):
            await send({"type": "http.response.body", "body": bytes(65536), "more_body": True})
            sent[0] += 1
        await send({"type": "http.response.body"})

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = HttpServer(app)
        await server.start([listener])
        _, writer = await asyncio.open_connection(*listener.getsockname())
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        yield server, writer, sent
        writer.close()
        await server.close()


def test_an_application_that_streams_waits_for_its_client() -> None:
    async def test() -> None:
        async with slow_reader(1000) as (_, writer, sent):
            await asyncio.sleep(0.2)
            assert 0 < sent[0] < 300
            writer.transport.abort()
            await asyncio.sleep(0.05)
            assert sent[0] == 1000  # sending to nobody costs nothing and never hangs

    run(test)


def test_an_answer_is_read_by_the_tests_as_it_was_sent() -> None:
    got: list[Answer] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        got.append(await read_answer(reader))

    served(answering(203, [(b"x-a", b"1"), (b"x-a", b"2")], b"ok"), talk)
    assert got[0].headers == [("x-a", "1"), ("x-a", "2"), ("transfer-encoding", "chunked")]

"""The HTTP client of one engine, against raw servers that answer what a test scripts."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from sparkd.engines.engine import TcpAddress, UnixAddress
from sparkd.errors import UpstreamError
from sparkd.machine.http_connection import Flow
from sparkd.machine.http_headers import Headers
from sparkd.machine.upstream import EngineRequest, Upstream
from tests.gateway.house import OK, SSE, Asked, Engine, Script, answering, chunk, read_request, run

GET = EngineRequest(b"GET", b"/v1/x", [])
POST = EngineRequest(b"POST", b"/v1/x", [], b'{"model":"m"}')


class Heard:
    """A sink that keeps everything, and may hold back its engine."""

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
    """Run a test with an engine and a client of it."""

    async def whole() -> None:
        with tempfile.TemporaryDirectory() as folder:
            async with Engine(Path(folder) / "s", script) as engine:
                upstream = Upstream(UnixAddress(str(engine.path)), **options)
                await test(engine, upstream)
                await upstream.close()

    run(whole)


async def ask(upstream: Upstream, request: EngineRequest = GET) -> Heard:
    heard = Heard()
    await upstream.exchange(request, heard)
    return heard


def once(answer: bytes, *, close: bool = True) -> Script:
    """An engine that answers one request with these bytes, then closes or stays silent."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(answer)
        if not close:
            await reader.read()

    return script


def test_requests_one_after_the_other_share_a_connection() -> None:
    async def test(engine: Engine, upstream: Upstream) -> None:
        for _ in range(5):
            heard = await ask(upstream, POST)
            assert (heard.status, heard.text, heard.ended) == (200, b"{}", True)
        assert engine.connections == 1

    with_engine(answering(OK), test)


def test_an_engine_is_reached_over_tcp_as_well() -> None:
    async def test() -> None:
        closed = asyncio.Event()

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(asyncio.IncompleteReadError):
                await answering(OK)(reader, writer)
            writer.close()
            closed.set()

        with socket.create_server(("127.0.0.1", 0)) as listener:
            server = await asyncio.start_server(connected, sock=listener)
            upstream = Upstream(TcpAddress("127.0.0.1", listener.getsockname()[1]))
            assert (await ask(upstream, POST)).text == b"{}"
            assert await upstream.probe("/health", 1) == 200
            await upstream.close()
            await closed.wait()
            server.close()
            await server.wait_closed()

    run(test)


def test_connections_expire_before_the_engine_closes_them() -> None:
    async def test(engine: Engine, upstream: Upstream) -> None:
        await ask(upstream)
        await engine.closed()  # by the pool's own sweep: the script never closes
        await ask(upstream)
        assert engine.connections == 2

    with_engine(answering(OK), test, keep_alive=0.05)


def test_a_connection_that_died_in_the_pool_is_replaced_once() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(OK)
        await read_request(reader)  # takes the second request, and leaves without a word

    async def test(engine: Engine, upstream: Upstream) -> None:
        for _ in range(3):
            assert (await ask(upstream, POST)).text == b"{}"
        assert engine.connections == 3

    with_engine(script, test)


def test_a_new_connection_that_dies_is_not_tried_again() -> None:
    async def script(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await read_request(reader)

    async def test(engine: Engine, upstream: Upstream) -> None:
        with pytest.raises(UpstreamError, match="before it answered"):
            await ask(upstream, POST)
        assert engine.connections == 1

    with_engine(script, test)


def test_a_connection_that_dies_after_a_byte_of_the_answer_is_not_tried_again() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(OK)
        await read_request(reader)
        writer.write(b"H")

    async def test(engine: Engine, upstream: Upstream) -> None:
        await ask(upstream)
        with pytest.raises(UpstreamError, match="before it answered"):
            await ask(upstream)
        assert engine.connections == 1

    with_engine(script, test)


@pytest.mark.parametrize(
    "interim", [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n"]
)
def test_interim_answers_are_swallowed(interim: bytes) -> None:
    async def test(engine: Engine, upstream: Upstream) -> None:
        heard = await ask(upstream, POST)
        assert (heard.status, heard.text) == (200, b"{}")
        assert b"link" not in dict(heard.headers)
        await ask(upstream, POST)
        assert engine.connections == 1

    with_engine(answering(interim + OK, OK), test)


def test_an_engine_that_switches_protocols_is_in_error() -> None:
    async def test(_: Engine, upstream: Upstream) -> None:
        with pytest.raises(UpstreamError, match="switched protocols"):
            await ask(upstream)

    with_engine(
        once(b"HTTP/1.1 101 Go\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n", close=False), test
    )


@pytest.mark.parametrize("status", [204, 304])
def test_answers_without_a_body_end_with_their_head(status: int) -> None:
    async def test(engine: Engine, upstream: Upstream) -> None:
        for _ in range(2):
            heard = await ask(upstream)
            assert (heard.status, heard.text, heard.ended) == (status, b"", True)
        assert engine.connections == 1

    with_engine(answering(b"HTTP/1.1 %d X\r\n\r\n" % status), test)


def test_head_ends_with_the_head_and_its_connection_is_not_used_again() -> None:
    async def test(engine: Engine, upstream: Upstream) -> None:
        heard = await ask(upstream, EngineRequest(b"HEAD", b"/v1/x", []))
        assert (heard.status, heard.text, heard.ended) == (200, b"", True)
        assert (b"content-length", b"99") in heard.headers
        assert (await ask(upstream)).text == b"{}"
        assert engine.connections == 2

    with_engine(answering(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n", OK), test)


def test_trailers_are_dropped() -> None:
    answer = SSE + chunk(b"data: x\n\n") + b"0\r\nx-checksum: 1\r\n\r\n"

    async def test(engine: Engine, upstream: Upstream) -> None:
        for _ in range(2):
            heard = await ask(upstream)
            assert heard.text == b"data: x\n\n"
            assert b"x-checksum" not in dict(heard.headers)
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
        heard = await ask(upstream)
        assert len(heard.pieces) <= 3
        assert heard.text.count(b"data:") == 100

    with_engine(script, test)


def test_a_body_without_length_ends_when_the_engine_closes() -> None:
    async def test(_: Engine, upstream: Upstream) -> None:
        heard = await ask(upstream)
        assert (heard.text, heard.ended) == (b"until the end", True)

    with_engine(once(b"HTTP/1.1 200 OK\r\n\r\nuntil the end"), test)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"hello\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 999 Odd\r\ncontent-length: 0\r\n\r\n", "status 999"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "transfer coding"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\ncontent-len", "before it answered"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nabc", "middle of its answer"),
        (SSE + b"5\r\nab", "middle of its answer"),
    ],
)
def test_an_answer_that_is_not_whole_http_is_an_error(answer: bytes, words: str) -> None:
    async def test(engine: Engine, upstream: Upstream) -> None:
        with pytest.raises(UpstreamError, match=words):
            await ask(upstream)
        await engine.closed()

    with_engine(once(answer), test)


def test_bytes_nobody_asked_for_close_the_connection() -> None:
    async def test(engine: Engine, upstream: Upstream) -> None:
        assert (await ask(upstream)).text == b"{}"
        await asyncio.sleep(0.02)
        assert (await ask(upstream)).text == b"{}"
        assert engine.connections == 2

    with_engine(answering(OK + OK), test)


def test_connection_close_is_respected() -> None:
    answer = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}"

    async def test(engine: Engine, upstream: Upstream) -> None:
        for _ in range(2):
            assert (await ask(upstream)).text == b"{}"
        assert engine.connections == 2

    with_engine(answering(answer), test)


def test_headers_of_the_connection_stay_behind_in_both_directions() -> None:
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
        heard = await ask(upstream, request)
        assert heard.headers == [
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


def test_an_upload_takes_a_new_connection_which_may_then_be_used_again() -> None:
    async def test(engine: Engine, upstream: Upstream) -> None:
        await ask(upstream)
        await ask(upstream, EngineRequest(b"POST", b"/x", [], pieces(b"a"), None))
        assert engine.connections == 2
        await ask(upstream)
        assert engine.connections == 2

    with_engine(answering(OK), test)


def test_an_early_answer_to_an_upload_is_passed_on_and_ends_the_connection() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader, body=False)
        writer.write(b"HTTP/1.1 413 No\r\ncontent-length: 2\r\n\r\nno")
        await reader.read()

    async def test(engine: Engine, upstream: Upstream) -> None:
        started = time.monotonic()
        heard = await ask(upstream, EngineRequest(b"POST", b"/x", [], pieces(b"abc", then=20), 100))
        assert (heard.status, heard.text) == (413, b"no")
        assert time.monotonic() - started < 1
        await engine.closed()

    with_engine(script, test)


def test_what_a_body_raises_ends_the_exchange() -> None:
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


def test_an_engine_is_held_back_while_its_answer_is_not_taken() -> None:
    written = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (65536 * 500))
        for _ in range(500):
            writer.write(bytes(65536))
            await writer.drain()
            written += 65536

    async def test(_: Engine, upstream: Upstream) -> None:
        heard = Heard()
        exchange = asyncio.ensure_future(upstream.exchange(GET, heard))
        await heard.got.wait()
        assert heard.flow is not None
        heard.flow.pause()
        await asyncio.sleep(0.2)
        assert written < 4 * 2**20
        heard.flow.resume()
        await exchange
        assert len(heard.text) == 65536 * 500

    with_engine(script, test)


def test_a_cancelled_exchange_closes_its_connection_at_once() -> None:
    closed = asyncio.Event()

    async def script(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await read_request(reader)
        assert await reader.read() == b""
        closed.set()

    async def test(engine: Engine, upstream: Upstream) -> None:
        exchange = asyncio.ensure_future(ask(upstream))
        await asyncio.sleep(0.05)
        exchange.cancel()
        async with asyncio.timeout(0.5):
            await closed.wait()
        with pytest.raises(asyncio.CancelledError):
            await exchange
        assert engine.connections == 1

    with_engine(script, test)


def test_what_the_sink_raises_ends_the_exchange_and_its_connection() -> None:
    class Picky(Heard):
        def body(self, data: bytes, *, more: bool) -> None:  # noqa: ARG002
            raise KeyError

    async def test(engine: Engine, upstream: Upstream) -> None:
        with pytest.raises(KeyError):
            await upstream.exchange(GET, Picky())
        await engine.closed()

    with_engine(answering(OK), test)


def test_closing_ends_what_is_under_way_and_what_comes_later() -> None:
    async def test(engine: Engine, upstream: Upstream) -> None:
        exchange = asyncio.ensure_future(ask(upstream))
        await asyncio.sleep(0.05)
        await upstream.close()
        with pytest.raises(UpstreamError, match="stopped"):
            await exchange
        with pytest.raises(UpstreamError, match="stopped"):
            await ask(upstream)
        await engine.closed()

    with_engine(once(b"", close=False), test)


def test_nobody_listening_is_an_error() -> None:
    async def test() -> None:
        with pytest.raises(UpstreamError, match="does not accept connections"):
            await ask(Upstream(UnixAddress("/nowhere/s")))

    run(test)


def test_a_full_backlog_is_waited_for(tmp_path: Path) -> None:
    async def test() -> None:
        path = str(tmp_path / "s")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen(0)
            listener.setblocking(False)
            upstream = Upstream(UnixAddress(path))
            exchanges = [asyncio.ensure_future(ask(upstream)) for _ in range(5)]
            await asyncio.sleep(0.05)  # one fits the backlog; the others have been told EAGAIN
            for _ in exchanges:
                connection, _ = await asyncio.get_running_loop().sock_accept(listener)
                with connection:
                    await asyncio.get_running_loop().sock_recv(connection, 4096)
                    await asyncio.get_running_loop().sock_sendall(connection, OK)
            assert [(await exchange).status for exchange in exchanges] == [200] * 5
            await upstream.close()

    run(test)


def test_a_probe_tells_the_status_or_that_nobody_answers(tmp_path: Path) -> None:
    async def test(_: Engine, upstream: Upstream) -> None:
        assert await upstream.probe("/health", 1.0) == 503
        assert await upstream.probe("/health", 1.0) == 200
        started = time.monotonic()
        assert await upstream.probe("/health", 0.1) is None
        assert time.monotonic() - started < 0.5
        assert await Upstream(UnixAddress(str(tmp_path / "none"))).probe("/health", 1.0) is None

    turns = [b"HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n", OK, b""]
    with_engine(answering(*turns), test)


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_an_answer_may_come_in_pieces_of_any_size(size: int) -> None:
    answer = SSE + chunk("data: größer\n\n".encode()) + chunk(b"x" * 40) + chunk(b"")

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        for at in range(0, len(answer), size):
            writer.write(answer[at : at + size])
            await asyncio.sleep(0)

    async def test(_: Engine, upstream: Upstream) -> None:
        assert (await ask(upstream)).text == "data: größer\n\n".encode() + b"x" * 40

    with_engine(script, test)

"""The client of one engine: how its connections are kept, used again and closed."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from pathlib import Path

import pytest

from sparkd.engines.engine import TcpAddress, UnixAddress
from sparkd.errors import UpstreamError
from sparkd.upstream.client import MAX_PROBE_BODY, EngineRequest, ProbeAnswer, Upstream
from tests.gateway.engines import OK, Asked, Engine, answering, read_request
from tests.gateway.gateways import run
from tests.upstream.engines import GET, POST, RecordingSink, ask, respond_once, with_engine


def test_consecutive_requests_share_a_connection() -> None:
    async def test(engine: Engine, upstream: Upstream) -> None:
        for _ in range(5):
            sink = await ask(upstream, POST)
            assert (sink.status, sink.text, sink.ended) == (200, b"{}", True)
        assert engine.connections == 1

    with_engine(answering(OK), test)


def test_an_engine_is_reached_over_tcp_too() -> None:
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
            assert await upstream.probe("/health", 1) == ProbeAnswer(200, "{}")
            await upstream.close()
            await closed.wait()
            server.close()
            await server.wait_closed()

    run(test)


def test_connections_expire_before_the_engine_closes_them() -> None:
    async def test(engine: Engine, upstream: Upstream) -> None:
        await ask(upstream)
        await engine.closed()  # the pool closes it: the script never does
        await ask(upstream)
        assert engine.connections == 2

    with_engine(answering(OK), test, keep_alive=0.05)


def test_a_connection_that_was_closed_in_the_pool_is_replaced_once() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(OK)
        await read_request(reader)  # reads the second request, then disconnects without a response

    async def test(engine: Engine, upstream: Upstream) -> None:
        for _ in range(3):
            assert (await ask(upstream, POST)).text == b"{}"
        assert engine.connections == 3

    with_engine(script, test)


@pytest.mark.parametrize("size", [5, 5_000_000])
def test_a_body_may_be_a_bytearray_and_is_sent_completely(size: int) -> None:
    seen: list[Asked] = []

    async def test(_: Engine, upstream: Upstream) -> None:
        body = bytearray(b"x" * size)
        assert (await ask(upstream, EngineRequest(b"POST", b"/x", [], body))).text == b"{}"
        assert (seen[0].body, seen[0].header("content-length")) == (bytes(body), str(size))

    with_engine(answering(OK, asked=seen), test)


def test_a_request_is_not_retried_after_a_new_connection_is_closed() -> None:
    async def script(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await read_request(reader)

    async def test(engine: Engine, upstream: Upstream) -> None:
        with pytest.raises(UpstreamError, match="before it responded"):
            await ask(upstream, POST)
        assert engine.connections == 1

    with_engine(script, test)


def test_a_request_is_not_retried_after_a_byte_of_the_response() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(OK)
        await read_request(reader)
        writer.write(b"H")

    async def test(engine: Engine, upstream: Upstream) -> None:
        await ask(upstream)
        with pytest.raises(UpstreamError, match="before it responded"):
            await ask(upstream)
        assert engine.connections == 1

    with_engine(script, test)


def test_unexpected_bytes_close_the_connection() -> None:
    async def test(engine: Engine, upstream: Upstream) -> None:
        assert (await ask(upstream)).text == b"{}"
        await asyncio.sleep(0.02)
        assert (await ask(upstream)).text == b"{}"
        assert engine.connections == 2

    with_engine(answering(OK + OK), test)


def test_connection_close_is_obeyed() -> None:
    answer = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}"

    async def test(engine: Engine, upstream: Upstream) -> None:
        for _ in range(2):
            assert (await ask(upstream)).text == b"{}"
        assert engine.connections == 2

    with_engine(answering(answer), test)


def test_an_engine_is_paused_while_its_response_is_not_read() -> None:
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
        sink = RecordingSink()
        exchange = asyncio.ensure_future(upstream.exchange(GET, sink))
        await sink.got.wait()
        assert sink.flow is not None
        sink.flow.pause()
        await asyncio.sleep(0.2)
        assert written < 4 * 2**20
        sink.flow.resume()
        await exchange
        assert len(sink.text) == 65536 * 500

    with_engine(script, test)


def test_a_cancelled_exchange_closes_its_connection_at_once() -> None:
    asked, closed = asyncio.Event(), asyncio.Event()

    async def script(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await read_request(reader)
        asked.set()
        assert await reader.read() == b""
        closed.set()

    async def test(engine: Engine, upstream: Upstream) -> None:
        exchange = asyncio.ensure_future(ask(upstream))
        await asked.wait()
        exchange.cancel()
        async with asyncio.timeout(60):
            await closed.wait()
        with pytest.raises(asyncio.CancelledError):
            await exchange
        assert engine.connections == 1

    with_engine(script, test)


def test_an_exception_of_the_sink_ends_the_exchange_and_its_connection() -> None:
    class Picky(RecordingSink):
        def body(self, data: bytes, *, more: bool) -> None:  # noqa: ARG002
            raise KeyError

    async def test(engine: Engine, upstream: Upstream) -> None:
        with pytest.raises(KeyError):
            await upstream.exchange(GET, Picky())
        await engine.closed()

    with_engine(answering(OK), test)


def test_closing_ends_current_and_later_exchanges() -> None:
    async def test(engine: Engine, upstream: Upstream) -> None:
        exchange = asyncio.ensure_future(ask(upstream))
        await asyncio.sleep(0.05)
        await upstream.close()
        with pytest.raises(UpstreamError, match="stopped"):
            await exchange
        with pytest.raises(UpstreamError, match="stopped"):
            await ask(upstream)
        await engine.closed()

    with_engine(respond_once(b"", close=False), test)


def test_breaking_off_ends_current_and_later_exchanges_with_the_first_reason() -> None:
    async def test(engine: Engine, upstream: Upstream) -> None:
        exchange = asyncio.ensure_future(ask(upstream))
        await asyncio.sleep(0.05)
        upstream.break_off("its engine core was killed")
        upstream.break_off("something else")
        with pytest.raises(UpstreamError, match="its engine core was killed"):
            await exchange
        with pytest.raises(UpstreamError, match="its engine core was killed"):
            await ask(upstream)
        await engine.closed()

    with_engine(respond_once(b"", close=False), test)


def test_an_engine_that_does_not_listen_is_an_error() -> None:
    async def test() -> None:
        with pytest.raises(UpstreamError, match="does not accept connections"):
            await ask(Upstream(UnixAddress("/nowhere/s")))

    run(test)


def test_the_client_waits_for_a_full_backlog(tmp_path: Path) -> None:
    async def test() -> None:
        path = str(tmp_path / "s")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen(0)
            listener.setblocking(False)
            upstream = Upstream(UnixAddress(path))
            exchanges = [asyncio.ensure_future(ask(upstream)) for _ in range(5)]
            await asyncio.sleep(0.05)  # one connection fits into the backlog; the others got EAGAIN
            for _ in exchanges:
                connection, _ = await asyncio.get_running_loop().sock_accept(listener)
                with connection:
                    await asyncio.get_running_loop().sock_recv(connection, 4096)
                    await asyncio.get_running_loop().sock_sendall(connection, OK)
            assert [(await exchange).status for exchange in exchanges] == [200] * 5
            await upstream.close()

    run(test)


def test_a_probe_returns_the_status_with_the_body_or_none(tmp_path: Path) -> None:
    async def test(_: Engine, upstream: Upstream) -> None:
        assert await upstream.probe("/health", 60.0) == ProbeAnswer(503, "x" * MAX_PROBE_BODY)
        assert await upstream.probe("/health", 60.0) == ProbeAnswer(200, "{}")
        assert await asyncio.wait_for(upstream.probe("/health", 0.1), 60) is None
        assert await Upstream(UnixAddress(str(tmp_path / "none"))).probe("/health", 1.0) is None

    turns = [b"HTTP/1.1 503 No\r\ncontent-length: 5000\r\n\r\n" + b"x" * 5000, OK, b""]
    with_engine(answering(*turns), test)

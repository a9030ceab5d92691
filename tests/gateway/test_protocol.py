"""What sparkd changes about uvicorn's protocol and server: each test fails without one of the overrides."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import AsyncIterator
from importlib.metadata import version

import psutil
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from sparkd.gateway.connections.server import HttpServer
from sparkd.service.sockets import BACKLOG
from tests.gateway.engines import OK, Asked, answering, chunk, read_answer, read_request, request
from tests.gateway.gateways import house, run, until

GET = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"


@contextlib.asynccontextmanager
async def server_of(app: ASGIApp) -> AsyncIterator[tuple[HttpServer, socket.socket]]:
    """A server of this application, and its listening socket."""
    with socket.create_server(("127.0.0.1", 0), backlog=BACKLOG) as listener:
        server = HttpServer(app)
        await server.start([listener])
        try:
            yield server, listener
        finally:
            await server.close()


async def respond(send: Send, body: bytes = b"ok") -> None:
    """Send a small response."""
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def test_uvicorn_is_the_version_whose_insides_are_overridden() -> None:
    installed = version("uvicorn")
    assert installed.split(".")[:2] == ["0", "54"], (
        f"uvicorn is {installed}, and sparkd overrides insides of 0.54. Compare in both versions "
        "uvicorn/protocols/http/httptools_impl.py (HttpToolsProtocol: connection_made, connection_lost, "
        "resume_writing, data_received, on_message_begin, on_headers_complete, on_message_complete, "
        "_start_asgi_task, on_response_complete, shutdown; the fields of RequestResponseCycle; STATUS_LINE), "
        "flow_control.py (FlowControl) and uvicorn/server.py (startup, server_state, servers) with "
        "sparkd/gateway/connections/protocol.py, response_writer.py and server.py. Then change the pin in "
        "pyproject.toml, and this test."
    )


def test_trailers_do_not_become_headers() -> None:
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive())["more_body"]:
            continue
        seen.append(scope)
        await respond(send)

    async def test() -> None:
        async with server_of(app) as (_, listener):
            reader, writer = await asyncio.open_connection(*listener.getsockname())
            head = b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\ntrailer: x-a\r\n\r\n"
            writer.write(head + chunk(b"abc") + b"0\r\nx-a: b\r\nauthorization: Bearer sk\r\n\r\n")
            assert (await read_answer(reader)).status == 200
            writer.close()
        assert [name for name, _ in seen[0]["headers"]] == [b"transfer-encoding", b"trailer"]

    run(test)


def test_the_backlog_of_a_listening_socket_stays_as_long_as_it_was() -> None:
    async def app(_: Scope, __: Receive, send: Send) -> None:
        await respond(send)

    async def test() -> None:
        with socket.create_server(("127.0.0.1", 0), backlog=BACKLOG) as opened:
            expected = listen_queue_length(opened)
        async with server_of(app) as (_, listener):
            assert listen_queue_length(listener) == expected

    run(test)


def listen_queue_length(listener: socket.socket) -> int:
    """The most connections that may wait: tcpi_sacked of a listening socket, as `ss` reads it (tcp(7), TCP_INFO)."""
    info = listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
    return int.from_bytes(info[28:32], sys.byteorder)


def test_thousands_of_pipelined_requests_that_offer_an_upgrade_are_all_answered() -> None:
    offers = b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n"

    async def app(_: Scope, __: Receive, send: Send) -> None:
        await respond(send)

    async def test() -> None:
        async with server_of(app) as (_, listener):
            reader, writer = await asyncio.open_connection(*listener.getsockname())
            writer.write(offers * 3000)
            for _ in range(3000):
                assert (await read_answer(reader)).status == 200
            writer.close()

    run(test)


def test_a_server_that_is_closed_does_not_log_the_requests_that_it_cancels_as_errors(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def app(_: Scope, __: Receive, ___: Send) -> None:
        await asyncio.Event().wait()

    async def test() -> None:
        async with server_of(app) as (server, listener):
            _, writer = await asyncio.open_connection(*listener.getsockname())
            writer.write(GET)
            await until(lambda: len(server.server_state.tasks) == 1)
        writer.close()

    run(test)
    assert caplog.records == []


def test_a_client_that_sends_requests_ahead_is_not_read_from_while_one_of_them_waits() -> None:
    async def app(_: Scope, __: Receive, send: Send) -> None:
        await asyncio.sleep(0.0001)
        await respond(send)

    async def test() -> None:
        async with server_of(app) as (server, listener):
            reader, writer = await asyncio.open_connection(*listener.getsockname())
            writer.transport.set_write_buffer_limits(0)
            longest = 0
            for _ in range(300):
                writer.write(GET * 1000)
                await reader.read(65536)
                (connection,) = server.server_state.connections
                longest = max(longest, len(connection.pipeline))  # type: ignore[union-attr]
            # uvicorn reads on after each response: 64 KiB for one that was answered.
            assert longest < 10 * 2**20 / len(GET) / 10
            writer.transport.abort()

    run(test)


def test_a_client_that_leaves_with_a_second_request_waiting_is_reported_to_the_first() -> None:
    reported = asyncio.Event()

    async def app(_: Scope, receive: Receive, __: Send) -> None:
        while (await receive())["type"] != "http.disconnect":
            continue
        reported.set()

    async def test() -> None:
        async with server_of(app) as (_, listener):
            reader, writer = await asyncio.open_connection(*listener.getsockname())
            writer.write(GET * 2)
            await asyncio.sleep(0.02)
            writer.transport.abort()
            async with asyncio.timeout(1):
                await reported.wait()
            assert await reader.read() == b""

    run(test)


def test_what_still_arrives_of_a_body_after_its_response_is_dropped() -> None:
    async def app(_: Scope, __: Receive, send: Send) -> None:
        await respond(send)

    async def test() -> None:
        async with server_of(app) as (_, listener):
            reader, writer = await asyncio.open_connection(*listener.getsockname())
            writer.write(b"POST / HTTP/1.1\r\ncontent-length: 5000000\r\n\r\n")
            assert (await read_answer(reader)).body == b"ok"
            for _ in range(50):
                writer.write(bytes(100_000))
                await writer.drain()
            writer.write(GET)
            assert (await read_answer(reader)).body == b"ok"
            writer.close()

    run(test)


@pytest.mark.parametrize("reads", [True, False])
def test_continue_is_sent_when_the_body_is_wanted(reads: bool) -> None:
    async def app(_: Scope, receive: Receive, send: Send) -> None:
        if reads:
            await receive()
        await respond(send)

    async def test() -> None:
        async with server_of(app) as (_, listener):
            reader, writer = await asyncio.open_connection(*listener.getsockname())
            writer.write(b"POST / HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n")
            first = await reader.readuntil(b"\r\n")
            assert first == (b"HTTP/1.1 100 Continue\r\n" if reads else b"HTTP/1.1 200 OK\r\n")
            writer.close()

    run(test)


def test_a_server_neither_handles_signals_nor_closes_the_sockets_that_it_was_given() -> None:
    async def app(_: Scope, __: Receive, send: Send) -> None:
        await respond(send)

    async def test() -> None:
        handlers = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
        async with server_of(app) as (server, listener):
            assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == handlers
            descriptors = []
            for _ in range(3):  # as for a replacement that is given up
                reader, writer = await asyncio.open_connection(*listener.getsockname())
                writer.write(GET)
                assert (await read_answer(reader)).status == 200
                server.stop_accepting()
                await server.drained()
                assert await reader.read() == b""
                writer.close()
                reader, writer = await asyncio.open_connection(*listener.getsockname())
                writer.write(GET)
                await asyncio.sleep(0.02)
                await server.start([listener])
                assert (await read_answer(reader)).status == 200
                writer.close()
                await until(lambda: not server.server_state.connections)
                descriptors.append(psutil.Process().num_fds())
            assert descriptors[0] == descriptors[1] == descriptors[2]
            await server.close()
            assert listener.fileno() >= 0

    run(test)


def test_a_slow_body_is_forwarded_as_one_that_comes_at_once() -> None:
    """The shortcut takes what one read has brought; all else goes through the router."""
    seen: list[Asked] = []

    async def test() -> None:
        async with house(answering(OK, asked=seen)) as here:
            reader, writer = await here.connect()
            raw = request(b'{"model":"short","x":1.50}')
            writer.write(raw)
            assert (await read_answer(reader)).status == 200
            writer.write(raw[:-5])
            await asyncio.sleep(0.02)
            writer.write(raw[-5:])
            assert (await read_answer(reader)).status == 200
        at_once, slow = seen
        assert (at_once.line, at_once.body) == (slow.line, slow.body)
        assert [header for header in at_once.headers if header[0] != "x-request-id"] == [
            header for header in slow.headers if header[0] != "x-request-id"
        ]

    run(test)


def test_an_engine_that_fails_before_it_responds_is_reported_after_the_shortcut_too() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(OK)
        await read_request(reader)
        writer.write(b"nonsense\r\n\r\n")

    async def test() -> None:
        async with house(script) as here:
            reader, writer = await here.connect()
            for status in (200, 502, 200, 502):
                writer.write(request())
                answer = await read_answer(reader)
                assert answer.status == status
                await until(lambda: here.supervisor.held == 0)
            assert answer.code == "engine_failed"

    run(test)

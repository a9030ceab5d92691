"""The server in front of the gateway: its doors close without losing anybody."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

from starlette.types import Receive, Scope, Send

from sparkd.gateway.connections.server import HttpServer
from tests.gateway.engines import OK, SSE, chunk, read_answer, read_request, request
from tests.gateway.gateways import house, run, until


def test_after_stopping_new_connections_wait_in_the_kernel_for_the_next_server() -> None:
    async def test() -> None:
        async with house() as here:
            listener = here.listener
            here.server.stop_accepting()
            reader, writer = await here.connect()
            writer.write(request())
            await asyncio.sleep(0.05)
            await here.server.drained()
            successor = HttpServer(here.gateway)
            await successor.start([listener])
            assert (await read_answer(reader)).status == 200
            await successor.close()

    run(test)


def test_draining_closes_idle_connections_and_lets_answers_end() -> None:
    go_on = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(SSE + chunk(b"data: 1\n\n"))
        await go_on.wait()
        writer.write(chunk(b"data: 2\n\n") + chunk(b""))

    async def test() -> None:
        async with house(script) as here:
            idle, _ = await here.connect()
            reader, writer = await here.connect()
            writer.write(request())
            await until(lambda: here.engine.open == 1)
            here.server.stop_accepting()
            draining = asyncio.ensure_future(here.server.drained())
            assert await idle.read() == b""
            await asyncio.sleep(0.05)
            assert not draining.done()
            go_on.set()
            assert (await read_answer(reader)).body == b"data: 1\n\ndata: 2\n\n"
            assert await reader.read() == b""
            await draining

    run(test)


def test_a_request_that_is_on_its_way_when_the_server_stops_is_answered() -> None:
    async def test() -> None:
        async with house() as here:
            reader, writer = await here.connect()
            silent, _ = await here.connect()
            await until(lambda: len(here.server.server_state.connections) == 2)
            here.server.stop_accepting()
            draining = asyncio.ensure_future(here.server.drained())
            await asyncio.sleep(0.05)
            writer.write(request())
            assert (await read_answer(reader)).status == 200
            assert await reader.read() == b""
            assert await silent.read() == b"", "one that sends nothing does not hold up the end"
            await draining

    run(test)


def test_a_thousand_connections_at_once_are_all_accepted() -> None:
    async def test() -> None:
        async with house() as here:
            answers = await asyncio.gather(*(here.ask(request()) for _ in range(1000)))
            assert {answer.status for answer in answers} == {200}

    run(test)


def test_any_application_is_served_on_a_unix_socket_too(tmp_path: Path) -> None:
    async def app(scope: Scope, _: Receive, send: Send) -> None:
        body = scope["path"].encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": body})

    async def test() -> None:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(tmp_path / "s"))
            listener.listen()
            server = HttpServer(app)
            await server.start([listener])
            reader, writer = await asyncio.open_unix_connection(str(tmp_path / "s"))
            writer.write(b"GET /a HTTP/1.1\r\n\r\n")
            assert (await read_answer(reader)).body == b"/a"
            writer.close()
            await server.close()

    run(test)


def test_answers_leave_in_one_piece_with_their_head() -> None:
    async def test() -> None:
        async with house() as here:
            with socket.create_connection(("127.0.0.1", here.port)) as client:
                await asyncio.to_thread(client.sendall, request())
                answer = await asyncio.to_thread(client.recv, 65536)
            assert answer.endswith(OK[-2:])

    run(test)

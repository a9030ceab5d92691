"""A client that leaves: wherever its request is by then, everything done for it ends within a second."""

from __future__ import annotations

import asyncio

import pytest

from tests.gateway.engines import (
    OK,
    SSE,
    Script,
    answering,
    chunk,
    read_answer,
    read_body,
    read_request,
    request,
)
from tests.gateway.gateways import house, run, until


async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    """An engine that takes a request and never answers; ends when its client leaves."""
    await read_request(reader)
    await reader.read()


async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """An engine that streams slowly until its client leaves."""
    await read_request(reader)
    writer.write(SSE)
    while not reader.at_eof():
        writer.write(chunk(b"data: x\n\n"))
        await writer.drain()
        await asyncio.sleep(0.01)


async def headless(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    """An engine that reads a head and some of a body, then waits for the client to leave."""
    await read_request(reader, body=False)
    await reader.read(100)
    while await reader.read(65536):
        continue


@pytest.mark.parametrize("abruptly", [False, True])
def test_a_client_that_leaves_the_queue_is_dropped_from_it(abruptly: bool) -> None:
    async def test() -> None:
        async with house(ready=False) as here:
            _, writer = await here.connect()
            writer.write(request())
            await until(lambda: here.supervisor.waiting == 1, within=1)
            if abruptly:
                writer.transport.abort()
            else:
                writer.close()
            await until(lambda: here.supervisor.waiting == 0, within=1)
            assert here.supervisor.granted == 0
            assert here.engine.connections == 0

    run(test)


@pytest.mark.parametrize("script", [silent, endless])
def test_a_client_that_leaves_before_or_during_an_answer_frees_the_engine(script: Script) -> None:
    async def test() -> None:
        async with house(script) as here:
            _, writer = await here.connect()
            writer.write(request())
            await until(lambda: here.engine.open == 1, within=1)
            await asyncio.sleep(0.05)
            writer.close()
            await until(lambda: here.supervisor.held == 0 and here.engine.open == 0, within=1)

    run(test)


def test_a_client_that_leaves_in_the_middle_of_its_json_starts_nothing() -> None:
    async def test() -> None:
        async with house() as here:
            _, writer = await here.connect()
            writer.write(request(b'{"model":"m"}')[:-3])
            await asyncio.sleep(0.05)
            writer.close()
            await asyncio.sleep(0.05)
            assert here.supervisor.asked == []

    run(test)


UPLOAD = (
    b"POST /v1/m/audio/transcriptions HTTP/1.1\r\ncontent-type: multipart/form-data; boundary=x\r\n"
    b"content-length: 1000000\r\n\r\n"
)


def test_a_client_that_leaves_in_the_middle_of_an_upload_frees_the_engine() -> None:
    async def test() -> None:
        async with house(headless) as here:
            _, writer = await here.connect()
            writer.write(UPLOAD + bytes(100_000))
            await until(lambda: here.engine.open == 1, within=1)
            await asyncio.sleep(0.05)
            writer.close()
            await until(lambda: here.supervisor.held == 0 and here.engine.open == 0, within=1)

    run(test)


@pytest.mark.parametrize("sent", [100_000, 1_000_000])
def test_a_client_that_leaves_the_queue_with_an_upload_is_dropped_from_it(sent: int) -> None:
    async def test() -> None:
        async with house(ready=False) as here:
            _, writer = await here.connect()
            writer.write(UPLOAD + bytes(sent))
            await until(lambda: here.supervisor.waiting == 1, within=1)
            await asyncio.sleep(0.05)
            writer.close()
            await until(lambda: here.supervisor.waiting == 0, within=1)
            assert here.engine.connections == 0

    run(test)


def test_the_end_of_one_answer_is_not_taken_for_its_client_leaving() -> None:
    """ASGI's receive() wakes up then, too: that once cancelled the next request on the connection."""

    async def test() -> None:
        async with house() as here:
            reader, writer = await here.connect()
            for _ in range(200):
                writer.write(request())
                assert (await read_answer(reader)).status == 200
            assert here.engine.connections == 1
            assert here.supervisor.granted == 200

    run(test)


def test_a_client_that_left_does_not_disturb_the_next_one_on_the_engines_connection() -> None:
    turn = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal turn
        while True:
            await read_request(reader)
            turn += 1
            writer.write(OK)

    async def test() -> None:
        async with house(script) as here:
            for _ in range(50):
                reader, writer = await here.connect()
                writer.write(request())
                await read_answer(reader)
                writer.transport.abort()  # at the very moment its answer has ended
                assert (await here.ask(request())).status == 200
            assert turn == 100

    run(test)


def test_a_client_that_leaves_right_after_an_early_answer_frees_the_engine() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await read_request(reader, body=False)
        writer.write(b"HTTP/1.1 400 No\r\ncontent-length: 2\r\n\r\nno")
        await read_body(reader, asked)

    async def test() -> None:
        async with house(script) as here:
            reader, writer = await here.connect()
            writer.write(UPLOAD + bytes(100_000))
            answer = await read_answer(reader)
            assert (answer.status, answer.json["error"]["message"]) == (400, "no")
            writer.close()
            await until(lambda: here.supervisor.held == 0 and here.engine.open == 0, within=1)

    run(test)


def test_everything_is_given_back_when_the_server_closes() -> None:
    async def test() -> None:
        async with house(endless) as here:
            writers = []
            for _ in range(10):
                _, writer = await here.connect()
                writer.write(request())
                writers.append(writer)
            await until(lambda: here.supervisor.held == 10, within=1)
            await here.server.close()
            assert here.supervisor.held == 0
            await here.engine.closed()

    run(test)


def test_an_answer_to_a_slow_client_holds_its_lease_until_the_client_leaves() -> None:
    body = b"HTTP/1.1 200 OK\r\ncontent-length: 20000000\r\n\r\n" + bytes(20_000_000)

    async def test() -> None:
        async with house(answering(body)) as here:
            _, writer = await here.connect()
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            writer.write(request())
            await until(lambda: here.supervisor.held == 1, within=1)
            await asyncio.sleep(0.2)
            assert here.supervisor.held == 1
            writer.transport.abort()
            await until(lambda: here.supervisor.held == 0 and here.engine.open == 0, within=1)

    run(test)

"""Bodies: limits, the largest ones, and memory that stays bounded both ways."""

from __future__ import annotations

import asyncio
import json

import psutil
import pytest

from sparkd.catalog.quantities import MIB
from sparkd.catalog.settings import Server, Settings
from tests.gateway.engines import (
    OK,
    SSE,
    Asked,
    answering,
    chunk,
    read_answer,
    read_request,
    request,
)
from tests.gateway.gateways import catalogue, house, model, run


@pytest.mark.parametrize(
    "head",
    [
        b"POST /v1/completions HTTP/1.1\r\ncontent-type: application/json\r\n",
        b"POST /v1/m/audio/transcriptions HTTP/1.1\r\ncontent-type: multipart/form-data; boundary=x\r\n",
        b"POST /v1/audio/transcriptions HTTP/1.1\r\ncontent-type: multipart/form-data; boundary=x\r\n",
    ],
)
def test_a_chunked_body_is_counted_and_refused_before_it_is_read_whole(head: bytes) -> None:
    settings = Settings(server=Server(max_body=100_000))

    async def test() -> None:
        async with house(models=catalogue(model("m"), settings=settings)) as here:
            here.engine.script = reading
            reader, writer = await here.connect()
            writer.write(head + b"transfer-encoding: chunked\r\n\r\n")
            for _ in range(4):
                writer.write(chunk(b"x" * 30_000))
            answer = await read_answer(reader)
            assert (answer.status, answer.code) == (413, "body_too_large")
            # What still comes is thrown away, so that a client which sends first and reads then finds the answer.
            for _ in range(100):
                writer.write(chunk(b"x" * 30_000))
                await writer.drain()
            writer.write(chunk(b"") + request())
            here.engine.script = answering(OK)
            assert (await read_answer(reader)).status == 200

    async def reading(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        while await reader.read(65536):
            continue

    run(test)


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/m/audio/transcriptions"])
def test_a_body_of_64_mib_is_served_and_one_byte_more_is_not(path: str) -> None:
    largest = 64 * MIB
    got = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal got
        asked = await read_request(reader, body=False)
        for _ in range(int(asked.header("content-length") or 0) // MIB):
            got += len(await reader.readexactly(MIB))
        writer.write(OK)

    async def test() -> None:
        async with house(script) as here:
            kind = "application/json" if "chat" in path else "multipart/form-data; boundary=x"
            head = f"POST {path} HTTP/1.1\r\ncontent-type: {kind}\r\ncontent-length: "
            reader, writer = await here.connect()
            writer.write(f"{head}{largest}\r\n\r\n".encode() + b'{"model":"m","x":"')
            for _ in range(63):
                writer.write(b"x" * MIB)
                await writer.drain()
            writer.write(b"x" * (MIB - 20) + b'"}')
            assert (await read_answer(reader)).status == 200
            assert got == largest
            writer.write(f"{head}{largest + 1}\r\n\r\n".encode())
            assert (await read_answer(reader)).status == 413

    run(test)


def resident() -> int:
    return psutil.Process().memory_info().rss


def test_an_upload_to_a_slow_engine_takes_bounded_memory() -> None:
    go_on = asyncio.Event()
    size = 60 * MIB

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader, body=False)
        await go_on.wait()
        for _ in range(60):
            await reader.readexactly(MIB)
        writer.write(OK)

    async def test() -> None:
        async with house(script) as here:
            reader, writer = await here.connect()
            head = "POST /v1/m/audio/transcriptions HTTP/1.1\r\ncontent-type: multipart/form-data; boundary=x\r\n"
            writer.write(f"{head}content-length: {size}\r\n\r\n".encode())
            sent = 0

            async def send() -> None:
                nonlocal sent
                for _ in range(60):
                    writer.write(bytes(MIB))
                    await writer.drain()
                    sent += MIB

            sending = asyncio.ensure_future(send())
            await asyncio.sleep(0.4)
            assert sent < 20 * MIB
            go_on.set()
            await sending
            assert (await read_answer(reader)).status == 200

    run(test)


def test_an_answer_to_a_slow_client_takes_bounded_memory_and_arrives_whole() -> None:
    written = 0
    size = 100 * MIB

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
        for n in range(100):
            writer.write(bytes([n]) * MIB)
            await writer.drain()
            written += MIB

    async def test() -> None:
        async with house(script) as here:
            before = resident()
            reader, writer = await here.connect()
            writer.write(request())
            await asyncio.sleep(0.4)
            assert written < 16 * MIB
            assert resident() - before < 32 * MIB
            await read_request(reader, body=False)
            for n in range(100):
                assert await reader.readexactly(MIB) == bytes([n]) * MIB

    run(test)


def test_a_stream_to_a_slow_client_arrives_in_fewer_larger_pieces_and_in_order() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(SSE)
        for n in range(200_000):
            writer.write(chunk(b"data: %d\n\n" % n))
            if n % 1000 == 0:
                await writer.drain()
        writer.write(chunk(b""))

    async def test() -> None:
        async with house(script) as here:
            reader, writer = await here.connect()
            writer.write(request())
            await asyncio.sleep(0.2)
            body = (await read_answer(reader)).body
            assert body == b"".join(b"data: %d\n\n" % n for n in range(200_000))

    run(test)


def test_a_large_json_body_with_characters_of_many_bytes_is_not_damaged() -> None:
    seen: list[Asked] = []
    text = "größer 😀 日本語 " * 100_000

    async def test() -> None:
        async with house(answering(OK, asked=seen)) as here:
            body = json.dumps({"model": "short", "x": text}, ensure_ascii=False).encode()
            assert (await here.ask(request(body))).status == 200
        assert json.loads(seen[0].body) == {"model": "m", "x": text}

    run(test)

"""An engine that breaks off, or was never there."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.gateway.engines import OK, SSE, Asked, Script, chunk, read_answer, read_request, request
from tests.gateway.gateways import House, house, run


def once(answer: bytes) -> Script:
    """An engine that sends these bytes for an answer and dies."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(answer)

    return script


async def until_closed(here: House, raw: bytes) -> bytes:
    """Everything the gateway sends until it closes."""
    reader, writer = await here.connect()
    writer.write(raw)
    async with asyncio.timeout(2):
        return await reader.read()


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 200 OK\r\ncontent-le", b"nonsense\r\n\r\n", b"HTTP/1.1 999 X\r\n\r\n"]
)
def test_an_engine_that_breaks_off_before_its_head_is_told_as_502(answer: bytes) -> None:
    async def test() -> None:
        async with house(once(answer)) as here:
            reader, writer = await here.connect()
            writer.write(request())
            got = await read_answer(reader)
            assert (got.status, got.code) == (502, "engine_failed")
            writer.write(request())  # the client's connection is still good
            assert (await read_answer(reader)).status == 502

    run(test)


def test_nobody_listening_is_told_as_502() -> None:
    async def test() -> None:
        async with house() as here:
            here.engine.path.unlink()
            got = await here.ask(request())
            assert (got.status, got.code) == (502, "engine_failed")
            assert 'The engine of "m" does not accept connections: ' in got.json["error"]["message"]

    run(test)


def test_a_stream_ends_with_an_error_event_and_done() -> None:
    async def test() -> None:
        async with house(once(SSE + chunk(b'data: {"a":1}\n\n'))) as here:
            got = await here.ask(request())
            events = [event for event in got.body.split(b"\n\n") if event]
            assert (got.status, events[0], events[2]) == (200, b'data: {"a":1}', b"data: [DONE]")
            told = json.loads(events[1].strip().removeprefix(b"data: "))
            assert told["error"]["code"] == "engine_failed"
            assert told["error"]["message"] == (
                'The engine of "m" disconnected in the middle of its response. Try again; if it happens again, see '
                "`sparkctl logs m`."
            )

    run(test)


def test_an_event_cut_in_the_middle_is_left_out_before_the_error() -> None:
    async def test() -> None:
        async with house(once(SSE + chunk(b'data: {"a'))) as here:
            events = [event for event in (await here.ask(request())).body.split(b"\n\n") if event]
            assert b"engine_failed" in events[0]
            assert events[1:] == [b"data: [DONE]"]

    run(test)


@pytest.mark.parametrize(
    ("path", "kind"), [("/v1/messages", "api_error"), ("/v1/responses", "upstream_error")]
)
def test_streams_of_other_apis_end_with_their_own_error_event(path: str, kind: str) -> None:
    async def test() -> None:
        async with house(once(SSE + chunk(b"event: x\ndata: {}\n\n"))) as here:
            events = [event for event in (await here.ask(request(path=path))).body.split(b"\n\n") if event]
            name, data = events[1].split(b"\n")
            assert name == b"event: error"
            told = json.loads(data.removeprefix(b"data: "))
            assert (told["type"], told["error"]["type"]) == ("error", kind)
            assert len(events) == 2

    run(test)


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\nff\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 100\r\n\r\n",
    ],
)
def test_any_other_answer_is_cut_so_that_its_client_notices(head: bytes) -> None:
    async def test() -> None:
        async with house(once(head + b'{"half"')) as here:
            got = await until_closed(here, request())
            assert got.endswith((b'{"half"', b'7\r\n{"half"\r\n'))

    run(test)


def test_a_compressed_stream_is_cut_rather_than_mixed_with_plain_text() -> None:
    head = SSE.replace(b"\r\n\r\n", b"\r\ncontent-encoding: gzip\r\n\r\n")

    async def test() -> None:
        async with house(once(head + chunk(b"\x1f\x8b"))) as here:
            assert b"error" not in await until_closed(here, request())

    run(test)


def test_a_request_sent_just_as_the_engine_closes_is_sent_again() -> None:
    seen: list[Asked] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await read_request(reader))
        writer.write(OK)
        await asyncio.sleep(0)
        await reader.read(1)  # the next request has begun: too late

    async def test() -> None:
        async with house(script) as here:
            for _ in range(20):
                assert (await here.ask(request())).status == 200
        assert len(seen) == 20

    run(test)


def test_other_requests_go_on_while_one_engine_connection_breaks() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await read_request(reader)
        writer.write(SSE + chunk(b"data: 1\n\n"))
        await asyncio.sleep(0.05)
        if asked.header("x-dies") is None:
            writer.write(chunk(b"data: 2\n\n") + chunk(b""))

    async def test() -> None:
        async with house(script) as here:
            answers = await asyncio.gather(
                *(here.ask(request(extra="x-dies: 1\r\n" if n % 2 else "")) for n in range(20))
            )
        for n, answer in enumerate(answers):
            assert (b"data: 2" in answer.body) is (n % 2 == 0)
            assert (b"engine_failed" in answer.body) is (n % 2 == 1)

    run(test)

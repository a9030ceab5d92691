"""The owner cancels requests in flight, whatever they are doing; and the list of them."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from sparkd.errors import RequestNotFound
from sparkd.usage.records import RequestRecord
from tests.gateway.engines import SSE, Script, answering, chunk, read_answer, read_request, request
from tests.gateway.gateways import House, catalogue, house, model, run, until
from tests.gateway.test_recording import DOCUMENT, JSON, USAGE_CHUNK, ended, watch
from tests.gateway.waiting import BODIES, DONE, ROLE, TEXT, ask, chat_chunk, models, streaming

CANCELLED = "The owner of sparkd cancelled this request"


def stalling(*events: bytes, until_gone: list[bool]) -> Script:
    """An engine that sends these events, then nothing until sparkd has closed the connection."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        if events:
            writer.write(SSE + b"".join(map(chunk, events)))
        await reader.read()
        until_gone.append(True)

    return script


async def in_phase(here: House, phase: str) -> None:
    await until(lambda: [row.phase for row in here.gateway.recorder.active.rows()] == [phase])


async def cancelled(here: House, records: list[RequestRecord]) -> None:
    record = await ended(here, records)
    assert (record.status, record.code, record.gone) == (410, "request_cancelled", None)
    await until(lambda: here.supervisor.held == here.supervisor.waiting == 0)


@pytest.mark.parametrize("api", ["chat", "messages", "responses"])
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("phase", ["queued", "loading", "prefill"])
@pytest.mark.parametrize("shortcut", [True, False])
def test_before_the_response_the_client_gets_an_error_that_it_does_not_retry(
    api: str, stream: bool, phase: str, shortcut: bool
) -> None:
    gone: list[bool] = []

    async def test() -> None:
        async with house(stalling(until_gone=gone), ready=phase == "prefill", shortcut=shortcut) as here:
            records = watch(here)
            if phase == "loading":
                here.supervisor.load_began = 0.0
            reader, writer = await here.connect()
            writer.write(ask(api, stream=stream))
            await in_phase(here, phase)
            if phase == "prefill":
                await until(lambda: here.engine.open == 1)
            [row] = here.gateway.recorder.active.cancel("r1")
            assert (row.id, row.phase, row.streamed) == ("r1", phase, stream)
            answer = await read_answer(reader)
            assert answer.status == 410
            assert answer.header("x-should-retry") == "false"
            assert answer.header("retry-after") is None
            assert answer.code == "request_cancelled"
            assert answer.json["error"]["message"].startswith(CANCELLED)
            assert (answer.json.get("type") == "error") is (api == "messages")
            await cancelled(here, records)
            # The connection of the client goes on to its next request.
            here.engine.script = answering(JSON % (len(DOCUMENT), DOCUMENT))
            here.supervisor.ready.set()
            writer.write(request())
            assert (await read_answer(reader)).status == 200

    run(test)
    assert gone == [True] * (phase == "prefill")


@pytest.mark.parametrize("shortcut", [True, False])
def test_a_stream_ends_with_the_error(shortcut: bool) -> None:
    gone: list[bool] = []

    async def test() -> None:
        async with house(stalling(ROLE, TEXT, until_gone=gone), shortcut=shortcut) as here:
            records = watch(here)
            reader, writer = await here.connect()
            writer.write(ask("chat"))
            await in_phase(here, "decoding")
            here.gateway.recorder.active.cancel("r1")
            answer = await read_answer(reader)
            assert answer.body.startswith(ROLE + TEXT)
            error, done = answer.body.removeprefix(ROLE + TEXT).strip().split(b"\n\n")
            assert json.loads(error.removeprefix(b"data: "))["error"]["code"] == "request_cancelled"
            assert done == b"data: [DONE]"
            await cancelled(here, records)

    run(test)
    assert gone == [True]


def test_after_heartbeats_the_error_is_in_the_stream() -> None:
    async def test() -> None:
        async with house(streaming(TEXT), models=models("comment"), ready=False) as here:
            records = watch(here)
            reader, writer = await here.connect()
            writer.write(ask("chat"))
            assert await reader.readuntil(b": keep-alive")
            here.gateway.recorder.active.cancel("r1")
            assert b'"request_cancelled"' in await reader.readuntil(b"\r\n0\r\n\r\n")
            await cancelled(here, records)

    run(test)


@pytest.mark.parametrize("stream", [True, False])
def test_ollama(stream: bool) -> None:
    async def test() -> None:
        async with house(stalling(until_gone=[])) as here:
            records = watch(here)
            body = {"model": "m", "stream": stream, **BODIES["chat"]}
            reader, writer = await here.connect()
            writer.write(request(json.dumps(body).encode(), "/api/chat", extra="x-request-id: r1\r\n"))
            await in_phase(here, "prefill")
            await until(lambda: here.engine.open == 1)
            here.gateway.recorder.active.cancel("r1")
            answer = await read_answer(reader)
            assert (answer.status, answer.json["error"][: len(CANCELLED)]) == (410, CANCELLED)
            await cancelled(here, records)

    run(test)


def test_a_client_that_does_not_read_loses_its_connection() -> None:
    async def test() -> None:
        big = chat_chunk(content="x" * 500_000)
        async with house(stalling(*[big] * 40, until_gone=[])) as here:
            records = watch(here)
            _, writer = await here.connect()
            writer.write(ask("chat"))
            await in_phase(here, "decoding")
            await asyncio.sleep(0.2)
            here.gateway.recorder.active.cancel("r1")
            await cancelled(here, records)

    run(test)


def test_a_document_that_has_begun_is_cut() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{")
        await reader.read()

    async def test() -> None:
        async with house(script) as here:
            records = watch(here)
            reader, writer = await here.connect()
            writer.write(ask("chat", stream=False))
            await reader.readuntil(b"{")
            here.gateway.recorder.active.cancel("r1")
            assert await reader.read() == b""
            await cancelled(here, records)

    run(test)


def test_an_unknown_id_names_the_nearest() -> None:
    async def test() -> None:
        async with house(ready=False) as here:
            with pytest.raises(RequestNotFound, match=r'id "x"\. It may have ended'):
                here.gateway.recorder.active.cancel("x")
            _, writer = await here.connect()
            writer.write(request(extra="x-request-id: agent-17\r\n"))
            await in_phase(here, "queued")
            with pytest.raises(RequestNotFound, match='did you mean "agent-17"'):
                here.gateway.recorder.active.cancel("agent-18")

    run(test)


def test_all_requests_of_an_id_are_cancelled_and_no_others() -> None:
    async def test() -> None:
        async with house(ready=False) as here:
            readers = []
            for name in ("same", "other", "same"):
                reader, writer = await here.connect()
                writer.write(request(extra=f"x-request-id: {name}\r\n"))
                readers.append(reader)
            await until(lambda: here.supervisor.waiting == 3)
            assert [row.id for row in here.gateway.recorder.active.cancel("same")] == ["same", "same"]
            for reader in (readers[0], readers[2]):
                assert (await read_answer(reader)).status == 410
            assert [row.id for row in here.gateway.recorder.active.rows()] == ["other"]

    run(test)


@pytest.mark.parametrize("ready", [True, False])
def test_two_hundred_at_once_and_half_of_them_cancelled(ready: bool) -> None:
    async def test() -> None:
        release = asyncio.Event()

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                await read_request(reader)
                writer.write(SSE + chunk(ROLE) + chunk(TEXT))
                await release.wait()
                writer.write(chunk(TEXT) + chunk(USAGE_CHUNK) + chunk(DONE) + chunk(b""))

        async with house(script, ready=ready) as here:
            records = watch(here)
            readers: dict[str, asyncio.StreamReader] = {}
            for number in range(200):
                reader, writer = await here.connect()
                body: dict[str, Any] = {"model": "m", "stream": True, **BODIES["chat"]}
                writer.write(request(json.dumps(body).encode(), extra=f"x-request-id: r{number}\r\n"))
                readers[f"r{number}"] = reader
            active = here.gateway.recorder.active
            phase = "decoding" if ready else "queued"
            await until(lambda: sum(row.phase == phase for row in active.rows()) == 200)
            assert len(active) == 200
            for number in range(0, 200, 2):
                active.cancel(f"r{number}")
            release.set()
            here.supervisor.ready.set()
            answers = {name: await read_answer(reader) for name, reader in readers.items()}
            for number in range(200):
                answer = answers[f"r{number}"]
                if number % 2:
                    assert answer.body == ROLE + TEXT + TEXT + DONE
                else:
                    assert b"request_cancelled" in answer.body
            await ended(here, records, 200)
            assert sum(record.code == "request_cancelled" for record in records) == 100
            assert sum(record.tokens_out == 3 for record in records) == 100
            assert len({record.id for record in records}) == 200

    run(test, 30.0)


def test_a_stream_shows_its_tokens_and_its_speed() -> None:
    steps = asyncio.Queue[int]()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_request(reader)
            writer.write(SSE + chunk(ROLE))
            while count := await steps.get():
                writer.write(b"".join([chunk(TEXT)] * count))
            usage = json.dumps({"prompt_tokens": 5, "completion_tokens": 60}).encode()
            writer.write(chunk(b'data: {"choices":[],"usage":%b}\n\n' % usage) + chunk(DONE) + chunk(b""))

    async def test() -> None:
        async with house(script, models=catalogue(model("m", aliases=("short",)))) as here:
            active = here.gateway.recorder.active
            reader, writer = await here.connect()
            writer.write(ask("chat", model="short"))
            await in_phase(here, "prefill")
            [row] = active.rows()
            assert (row.asked, row.endpoint, row.streamed) == ("short", "/v1/chat/completions", True)
            assert (row.tokens_out, row.speed, row.tokens_in) == (0, None, None)
            assert active.rows() == [row]  # nothing changes while nothing happens
            steps.put_nowait(10)
            await until(lambda: active.rows()[0].tokens_out == 10)
            await asyncio.sleep(0.25)
            speed = active.rows()[0].speed
            assert speed is not None
            assert speed > 0
            steps.put_nowait(20)
            await until(lambda: active.rows()[0].tokens_out == 30)
            steps.put_nowait(0)
            await read_answer(reader)
            here.gateway.recorder.flush()
            # This engine has two tokens an event, as the usage of the first response said.
            writer.write(ask("chat"))
            steps.put_nowait(10)
            await until(lambda: [row.tokens_out for row in active.rows()] == [20])
            steps.put_nowait(0)
            await read_answer(reader)

    run(test)


def test_a_response_in_one_piece_has_no_tokens_to_show() -> None:
    async def test() -> None:
        async with house(stalling(until_gone=[])) as here:
            _, writer = await here.connect()
            writer.write(ask("chat", stream=False))
            await in_phase(here, "prefill")
            [row] = here.gateway.recorder.active.rows()
            assert (row.streamed, row.tokens_out, row.speed) == (False, None, None)

    run(test)

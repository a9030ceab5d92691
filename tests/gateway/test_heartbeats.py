"""Heartbeats over real sockets: what a client gets while its request waits, and how its response continues."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any

import pytest

from sparkd.catalog.client import Client
from sparkd.gateway.heartbeats.choice import choose_style
from sparkd.scheduling.forecast import Forecast
from tests.gateway.engines import OK, SSE, Answer, Asked, answering, chunk, read_answer, read_request
from tests.gateway.gateways import house, run, until
from tests.gateway.waiting import (
    DONE,
    ROLE,
    TEXT,
    ask,
    chat_chunk,
    data_of,
    get,
    models,
    split,
    streaming,
    wait_and_get,
)

MESSAGE = b'event: message_start\ndata: {"type":"message_start"}\n\n'
CREATED = b'event: response.created\ndata: {"type":"response.created","sequence_number":0}\n\n'
IN_PROGRESS = b'event: response.in_progress\ndata: {"type":"response.in_progress","sequence_number":1}\n\n'


def test_a_chat_gets_chunks_with_one_role_and_the_id_of_the_engine() -> None:
    got, outcomes = get(ask("chat"), streaming(ROLE, TEXT, DONE), models())
    events = split(got.body)
    assert got.status == 200
    assert got.header("content-type") == "text/event-stream; charset=utf-8"
    assert got.header("x-accel-buffering") == "no"
    assert got.header("cache-control") == "no-cache, no-transform"
    assert got.header("x-request-id") == "r1"
    assert events[-2:] == [TEXT.strip(), DONE.strip()]
    beats = [data_of(event) for event in events[:-2]]
    assert len(beats) in (3, 4, 5)
    assert {beat["id"] for beat in beats} == {"chatcmpl-r1"}
    assert {beat["model"] for beat in beats} == {"m"}
    assert [beat["choices"][0]["delta"] for beat in beats] == [
        {"role": "assistant", "content": ""},
        *[{"content": ""}] * (len(beats) - 1),
    ]
    assert outcomes == [200]


def test_completions_get_chunks_without_text() -> None:
    chunk_ = b'data: {"id":"cmpl-r1","choices":[{"index":0,"text":"Hi"}]}\n\n'
    got, _ = get(ask("completions"), streaming(chunk_, DONE), models())
    *beats, text, done = split(got.body)
    assert [text + b"\n\n", done + b"\n\n"] == [chunk_, DONE]
    for beat in map(data_of, beats):
        assert (beat["id"], beat["object"]) == ("cmpl-r1", "text_completion")
        assert beat["choices"] == [{"index": 0, "text": "", "logprobs": None, "finish_reason": None}]


def test_messages_get_pings() -> None:
    got, _ = get(ask("messages"), streaming(MESSAGE), models())
    *beats, message = split(got.body)
    assert message == MESSAGE.strip()
    assert set(beats) == {b'event: ping\ndata: {"type":"ping"}'}


def test_responses_are_created_once_with_the_id_that_the_engine_gets() -> None:
    asked: list[Asked] = []
    got, _ = get(ask("responses"), streaming(CREATED, IN_PROGRESS, asked=asked), models())
    first, *beats, last = split(got.body)
    created = data_of(first)
    assert first.startswith(b"event: response.created\n")
    assert (created["sequence_number"], created["response"]["status"]) == (0, "in_progress")
    assert json.loads(asked[0].body)["request_id"] == created["response"]["id"]
    assert created["response"]["id"].startswith("resp_")
    assert set(beats) == {b'event: keepalive\ndata: {"type":"keepalive","sequence_number":0}'}
    assert last == IN_PROGRESS.strip()


@pytest.mark.parametrize("api", ["chat", "completions", "messages", "responses"])
def test_comments_leave_the_engines_stream_as_it_is(api: str) -> None:
    asked: list[Asked] = []
    got, _ = get(ask(api), streaming(ROLE, CREATED, DONE, asked=asked), models("comment"))
    *beats, rest = got.body.split(b": keep-alive\n\n")
    assert len(beats) in (3, 4, 5)
    assert set(beats) == {b""}
    assert rest == ROLE + CREATED + DONE
    assert b"request_id" not in asked[0].body


def test_reasoning_says_what_the_request_waits_for() -> None:
    answers: list[Answer] = []

    async def test() -> None:
        async with house(streaming(ROLE, TEXT, DONE), models=models("reasoning"), ready=False) as here:
            here.supervisor.forecast = Forecast(
                model="m", stage="loading", phase="loading weights", progress=0.4, seconds=50.0
            )
            answers.append(await wait_and_get(here, ask("chat")))

    run(test)
    *beats, text, _ = split(answers[0].body)
    says = "m is loading weights, 40 %, about 50 s left.\n"
    deltas = [data_of(beat)["choices"][0]["delta"] for beat in beats]
    assert deltas[0] == {"role": "assistant", "reasoning": says, "reasoning_content": says}
    assert set(map(json.dumps, deltas[1:])) == {json.dumps({"reasoning": says, "reasoning_content": says})}
    assert text == TEXT.strip()


@pytest.mark.parametrize(
    ("raw", "served"),
    [
        (ask("chat"), models("off")),
        (ask("chat"), models(heartbeat="off")),
        (ask("chat", stream=False), models()),
        (ask("chat", stream=None), models()),
    ],
)
def test_where_heartbeats_are_off_nothing_is_sent_before_the_engines_response(
    raw: bytes, served: Any
) -> None:
    got, _ = get(raw, streaming(ROLE, TEXT, DONE), served)
    assert got.body == ROLE + TEXT + DONE
    assert got.header("cache-control") is None


@pytest.mark.parametrize(
    ("served", "client", "is_comment"),
    [
        (models("chunk", engine="command", command=("x",)), Client(), True),
        (models("reasoning", engine="sglang"), Client(), True),
        (models("chunk", engine="command", command=("x",), heartbeat="chunk"), Client(), False),
        (models("comment", heartbeat="chunk"), Client(), False),
        (models("chunk", heartbeat="comment"), Client(), True),
        (models("chunk"), Client(heartbeat="comment"), True),
        (models("comment", heartbeat="comment"), Client(heartbeat="chunk"), False),
    ],
)
def test_the_client_decides_then_the_model_then_the_settings(
    served: Any, client: Client, is_comment: bool
) -> None:
    style = choose_style(served.settings.heartbeat, served.models["m"], client)
    assert (style == "comment") is is_comment


def test_a_client_keeps_the_name_that_it_asked_for() -> None:
    got, _ = get(ask("chat", model="short"), streaming(ROLE, TEXT, DONE), models())
    assert {data_of(event)["model"] for event in split(got.body)[:-1]} == {"short"}


@pytest.mark.parametrize("cut", [1, 5, 20, 100, len(ROLE) - 1, len(ROLE), len(ROLE) + 3])
def test_the_role_is_dropped_however_the_stream_is_cut(cut: int) -> None:
    data = ROLE + TEXT + DONE

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(SSE)
        for part in (data[:cut], data[cut:]):
            writer.write(chunk(part))
            await writer.drain()
            await asyncio.sleep(0.01)
        writer.write(chunk(b""))

    got, _ = get(ask("chat"), script, models())
    assert got.body.endswith(TEXT + DONE)
    assert got.body.count(b'"role"') == 1


def test_of_several_choices_only_the_first_has_had_its_role() -> None:
    second = ROLE.replace(b'"index":0', b'"index":1')
    got, _ = get(ask("chat", n=2), streaming(ROLE, second, TEXT, DONE), models())
    assert got.body.endswith(second + TEXT + DONE)
    assert got.body.count(b'"role"') == 2


def test_a_first_chunk_with_more_than_a_role_keeps_the_rest() -> None:
    first = chat_chunk(role="assistant", content="Hel")
    got, _ = get(ask("chat"), streaming(b": keep-alive\n\n", first, TEXT, DONE), models())
    *beats, comment, kept, text, done = split(got.body)
    assert comment == b": keep-alive"
    assert data_of(kept)["choices"][0]["delta"] == {"content": "Hel"}
    assert [text, done] == [TEXT.strip(), DONE.strip()]
    assert b'"role":"assistant"' in beats[0]


def test_the_connection_serves_the_next_request() -> None:
    async def test() -> None:
        async with house(streaming(ROLE, TEXT, DONE), models=models(), ready=False) as here:
            reader, writer = await here.connect()
            writer.write(ask("chat"))
            await asyncio.sleep(0.1)
            here.supervisor.ready.set()
            assert (await read_answer(reader)).body.endswith(DONE)
            writer.write(ask("chat"))
            assert (await read_answer(reader)).body == ROLE + TEXT + DONE

    run(test)


def test_http_1_0_gets_heartbeats_without_chunks() -> None:
    async def test() -> None:
        async with house(streaming(ROLE, TEXT, DONE), models=models(), ready=False) as here:
            reader, writer = await here.connect()
            writer.write(ask("chat").replace(b"HTTP/1.1", b"HTTP/1.0"))
            await asyncio.sleep(0.1)
            here.supervisor.ready.set()
            head, _, body = (await reader.read()).partition(b"\r\n\r\n")
            assert b"transfer-encoding" not in head
            assert body.startswith(b"data: {")
            assert body.endswith(TEXT + DONE)

    run(test)


async def slow_prefill(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """An engine that answers the first request at once, and the others after a long prefill."""
    await read_request(reader)
    writer.write(OK)
    while True:
        await read_request(reader)
        writer.write(SSE)
        await asyncio.sleep(0.14)
        writer.write(chunk(ROLE))
        await writer.drain()
        await asyncio.sleep(0.1)
        writer.write(chunk(TEXT) + chunk(DONE) + chunk(b""))


@pytest.mark.parametrize("shortcut", [False, True])
def test_a_long_prefill_gets_heartbeats_until_the_first_byte_of_the_body(shortcut: bool) -> None:
    async def test() -> None:
        async with house(slow_prefill, models=models(), shortcut=shortcut) as here:
            await here.ask(ask("chat"))  # now there is an idle connection: nothing has to be waited for
            for _ in range(2):
                *beats, text, _ = split((await here.ask(ask("chat"))).body)
                assert len(beats) in (3, 4, 5)
                assert text == TEXT.strip()
                assert [b'"role"' in beat for beat in beats] == [True, *[False] * (len(beats) - 1)]
            assert here.engine.connections == 1
            assert here.supervisor.outcomes == [200, 200, 200]

    run(test)


def test_an_engine_that_is_silent_before_its_head_has_its_error_in_the_stream() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(OK)
        await read_request(reader)
        await asyncio.sleep(0.1)
        writer.write(b'HTTP/1.1 400 X\r\ncontent-length: 13\r\n\r\n{"error":"x"}')

    async def test() -> None:
        async with house(script, models=models()) as here:
            await here.ask(ask("chat"))
            got = await here.ask(ask("chat"))
            assert got.status == 200
            *beats, error = split(got.body)
            assert beats
            assert data_of(error)["error"]["message"] == "x"
            assert here.supervisor.outcomes == [200, 400]

    run(test)


def test_an_engine_that_dies_in_its_prefill_is_an_error_in_the_stream() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(OK)
        await read_request(reader)
        writer.write(SSE)
        await writer.drain()
        await asyncio.sleep(0.1)

    async def test() -> None:
        async with house(script, models=models()) as here:
            await here.ask(ask("chat"))
            *beats, error = split((await here.ask(ask("chat"))).body)
            assert beats
            assert data_of(error)["error"]["code"] == "engine_failed"
            assert here.supervisor.outcomes == [200, 502]

    run(test)


@pytest.mark.parametrize("length", [b"content-length: 3\r\n", b""])
def test_a_stream_of_known_length_and_a_document_get_nothing(length: bytes) -> None:
    kind = b"text/event-stream" if length else b"text/plain\r\nconnection: close"

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: %s\r\n%s\r\n" % (kind, length))
        await writer.drain()
        await asyncio.sleep(0.1)
        writer.write(b"abc")

    async def test() -> None:
        async with house(script, models=models()) as here:
            assert (await here.ask(ask("chat"))).body == b"abc"

    run(test)


def test_a_prefill_of_responses_gets_comments_because_the_engine_has_chosen_the_id() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        await asyncio.sleep(0.1)
        writer.write(SSE + chunk(CREATED) + chunk(b""))

    async def test() -> None:
        async with house(script, models=models()) as here:
            *beats, created = split((await here.ask(ask("responses"))).body)
            assert set(beats) == {b": keep-alive"}
            assert created == CREATED.strip()

    run(test)


def test_heartbeats_do_not_pile_up_for_a_client_that_does_not_read() -> None:
    async def test() -> None:
        script = streaming(ROLE, TEXT, DONE)
        async with house(script, models=models("reasoning"), ready=False) as here:
            here.supervisor.forecast = Forecast(model="m", stage="queued", blocked_by="x" * 4000)
            here.listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            with socket.socket() as client:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                client.setblocking(False)
                loop = asyncio.get_running_loop()
                await loop.sock_connect(client, ("127.0.0.1", here.port))
                await loop.sock_sendall(client, ask("chat"))
                await asyncio.sleep(1.5)
                here.supervisor.ready.set()
                await asyncio.sleep(0.1)
                got = b""
                while not got.endswith(b"0\r\n\r\n"):
                    got += await loop.sock_recv(client, 65536)
            assert 5 < got.count(b"chat.completion.chunk") < 25  # of fifty
            assert got.count(b'"role"') == 1
            assert got.count(DONE) == 1

    run(test)


def test_a_hundred_clients_wait_at_once() -> None:
    async def test() -> None:
        async with house(streaming(ROLE, TEXT, DONE), models=models(), ready=False) as here:
            waiting = []
            for _ in range(100):
                reader, writer = await here.connect()
                writer.write(ask("chat"))
                waiting.append(asyncio.ensure_future(read_answer(reader)))
            await until(lambda: here.supervisor.waiting == 100)
            await asyncio.sleep(0.2)
            here.supervisor.ready.set()
            for got in await asyncio.gather(*waiting):
                assert got.body.endswith(TEXT + DONE)
                assert got.body.count(b'"role"') == 1
                assert got.body.count(b"data: ") > 4

    run(test)


@pytest.mark.parametrize("api", ["chat", "completions", "messages", "responses"])
def test_a_document_gets_blanks_if_the_owner_wants(api: str) -> None:
    got, outcomes = get(ask(api, stream=False), answering(OK), models("off", blanks=True))
    assert got.header("content-type") == "application/json"
    assert got.header("content-length") is None
    assert got.body.strip() == b"{}"
    assert len(got.body) in (5, 6, 7)
    assert outcomes == [200]


def test_a_document_after_blanks_has_the_name_that_was_asked_for() -> None:
    body = b'{"model":"m"}'
    engine = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
    got, _ = get(ask("chat", stream=False, model="short"), answering(engine + body), models(blanks=True))
    assert got.json == {"model": "short"}
    assert got.body.startswith(b"  ")

"""An answer names the model as its request did, and nothing else in it changes."""

from __future__ import annotations

import asyncio
import itertools
import json
import random

import pytest

from sparkd.catalog.settings import Server, Settings
from sparkd.gateway.responses.engine_errors import error_in_event
from sparkd.gateway.responses.errors import Dialect
from sparkd.gateway.responses.event_stream import EventStream
from sparkd.gateway.responses.model_echo import ModelEcho
from tests.gateway.engines import SSE, Answer, answering, chunk, request
from tests.gateway.gateways import catalogue, house, model, run

TRAP = '{"model":"m"}, data: {"model":"m"}\n\ndata: {"id":"c","object":"chat.completion.chunk","model":"m"'
"""A text that a model generates; in JSON its quotes are escaped."""

LAZY = model("m", aliases=("org/alias", "short", "claude-*"))


def compact(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def chat_events(name: str) -> list[bytes]:
    begin = {"id": "c", "object": "chat.completion.chunk", "created": 7, "model": name}
    texts = ["", "a", TRAP, '"model":"m"', 'x","model":"m","', "ü😀", "\\", '\\"model\\":\\"m\\"']
    events = [begin | {"choices": [{"index": 0, "delta": {"content": text}}]} for text in texts]
    call = {"index": 0, "function": {"name": "f", "arguments": TRAP}}
    events.append(begin | {"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]})
    return [b"data: " + compact(event) + b"\n\n" for event in (*events, begin | {"choices": []})]


def messages_events(name: str) -> list[bytes]:
    start = {"id": "x", "type": "message", "role": "assistant", "content": [], "model": name, "usage": {}}
    delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": TRAP}}
    block = {"type": "tool_use", "id": "t", "name": "Task", "input": {"model": "m"}}
    return [
        b"event: message_start\ndata: " + compact({"type": "message_start", "message": start}) + b"\n\n",
        b"event: content_block_start\ndata: " + compact({"type": "x", "content_block": block}) + b"\n\n",
        b"event: content_block_delta\ndata: " + compact(delta) + b"\n\n",
    ]


def responses_events(name: str) -> list[bytes]:
    response = {
        "id": "r",
        "instructions": "long " * 30_000 + TRAP,
        "metadata": {"model": "m", "response": {"model": "m"}},
        "model": name,
        "output": [{"type": "function_call", "arguments": TRAP}],
        "tools": [{"parameters": {"model": "m"}}],
    }
    kinds = ("response.created", "response.in_progress", "response.completed")
    return [
        f"event: {kind}\ndata: ".encode() + compact({"response": response, "type": kind}) + b"\n\n"
        for kind in kinds
    ]


STREAMS = {
    "/v1/chat/completions": chat_events,
    "/v1/completions": chat_events,
    "/v1/messages": messages_events,
    "/v1/responses": responses_events,
}


def asked(script: bytes | tuple[bytes, ...], raw: bytes, *, is_echoed: bool = True) -> Answer:
    """What a client gets from an engine that answers with these pieces, each in a write of its own."""
    answers: list[Answer] = []

    async def test() -> None:
        settings = Settings(server=Server(echo_model=is_echoed))
        engine = answering(script if isinstance(script, bytes) else b"".join(script))
        async with house(engine, models=catalogue(LAZY, settings=settings)) as here:
            answers.append(await here.ask(raw))

    run(test)
    return answers[0]


def naming(name: str, path: str) -> bytes:
    return request(compact({"model": name}), path)


@pytest.mark.parametrize("path", STREAMS)
@pytest.mark.parametrize("name", ["short", "org/alias", " M", "claude-ü\"'\\", "m"])
def test_every_event_of_a_stream_has_the_name_that_was_asked_for(path: str, name: str) -> None:
    theirs, ours = STREAMS[path]("m"), STREAMS[path](name)
    done = b"data: [DONE]\n\n"
    answer = asked((SSE, *map(chunk, (*theirs, done, b""))), naming(name, path))
    assert [json.loads(part) for part in data_of(answer.body)] == [
        json.loads(part) for part in data_of(b"".join((*ours, done)))
    ]
    assert answer.body == b"".join((*ours, done))


def data_of(body: bytes) -> list[bytes]:
    return [line[6:] for line in body.split(b"\n") if line.startswith(b"data: ") and b"[DONE]" not in line]


@pytest.mark.parametrize("path", STREAMS)
@pytest.mark.parametrize("seed", range(6))
def test_it_does_not_matter_where_a_stream_is_cut(path: str, seed: int) -> None:
    chance = random.Random(seed)
    theirs = b"".join(STREAMS[path]("m"))
    cuts = sorted({0, len(theirs), *(chance.randrange(len(theirs)) for _ in range(60))})
    dialect: Dialect = "anthropic" if "messages" in path else "responses" if "responses" in path else "openai"
    stream = EventStream(dialect, b"id", ModelEcho("short", dialect), lambda _: None)
    pieces = [theirs[a:b] for a, b in itertools.pairwise(cuts)]
    sent = [stream.feed(piece, more=at < len(pieces) - 1) for at, piece in enumerate(pieces)]
    assert b"".join(sent) == b"".join(STREAMS[path]("short"))
    assert all(piece.endswith(b"\n") for piece in sent[:-1] if piece)


def test_a_line_without_end_is_not_kept_for_ever() -> None:
    stream = EventStream("openai", b"id", ModelEcho("short", "openai"), lambda _: None)
    size = sum(len(stream.feed(b"x" * 2**20, more=True)) for _ in range(40))
    assert size > 2**24


def test_lines_may_end_with_a_carriage_return() -> None:
    stream = EventStream("openai", b"id", ModelEcho("short", "openai"), lambda _: None)
    assert stream.feed(b'data: {"model":"m"}\r\rdata', more=True) == b'data: {"model":"short"}\r\r'
    assert stream.feed(b': {"model":"m"}\r\n\r\n', more=False) == b'data: {"model":"short"}\r\n\r\n'


@pytest.mark.parametrize(
    ("path", "document"),
    [
        ("/v1/chat/completions", {"id": "1", "model": "m", "choices": [{"message": {"content": TRAP}}]}),
        ("/v1/completions", {"choices": [{"text": TRAP}], "model": "m"}),
        ("/v1/embeddings", {"object": "list", "data": [{"embedding": [0.5] * 999}], "model": "m"}),
        ("/v1/rerank", {"id": "r", "model": "m", "results": [{"document": {"text": TRAP, "model": "m"}}]}),
        ("/v1/messages", {"content": [{"type": "tool_use", "input": {"model": "m"}}], "model": "m"}),
        (
            "/v1/responses",
            {"metadata": {"model": "m"}, "response": {"model": "x"}, "model": "m", "output": []},
        ),
    ],
)
def test_a_document_has_it_too_and_the_right_length(path: str, document: dict[str, object]) -> None:
    body = compact(document)
    head = b"HTTP/1.1 200 OK\r\nx-more: 1\r\ncontent-type: application/json\r\n"
    plain = head + b"content-length: %d\r\n\r\n" % len(body) + body
    parts = (chunk(body[:9]), chunk(body[9:]), chunk(b""))
    for answered in (plain, b"".join((head, b"transfer-encoding: chunked\r\n\r\n", *parts))):
        answer = asked(answered, naming("org/alias", path))
        assert answer.body == compact(document | {"model": "org/alias"})
        assert answer.header("content-length") == str(len(answer.body))
        assert (answer.header("x-more"), answer.header("content-type")) == ("1", "application/json")


@pytest.mark.parametrize(
    "answered",
    [
        b'content-type: application/json\r\ncontent-length: 12\r\n\r\n["model":"m"',
        b'content-type: application/json\r\ncontent-length: 11\r\n\r\n{"model":7 ',
        b'content-type: text/plain\r\ncontent-length: 13\r\n\r\n{"model":"m"}',
        b'content-type: application/json\r\ncontent-encoding: x\r\ncontent-length: 13\r\n\r\n{"model":"m"}',
        b'content-type: text/event-stream\r\ncontent-length: 20\r\n\r\ndata: {"model":"m"}\n',
    ],
)
def test_other_answers_stay_as_they_are(answered: bytes) -> None:
    answer = asked(b"HTTP/1.1 200 OK\r\n" + answered, naming("short", "/v1/chat/completions"))
    assert answer.body == answered.partition(b"\r\n\r\n")[2]


def test_the_name_in_path_or_query_counts_where_the_body_has_none() -> None:
    body = b'{"model":"m"}'
    answered = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 13\r\n\r\n" + body
    assert asked(answered, request(b"{}", "/v1/short/completions")).json == {"model": "short"}
    assert asked(answered, request(b"{}", "/v1/completions?model=org/alias")).json == {"model": "org/alias"}
    assert asked(answered, request(b'{"model":"claude-x"}', "/v1/short/completions")).json == {
        "model": "claude-x"
    }
    assert asked(answered, naming("short", "/v1/completions"), is_echoed=False).json == {"model": "m"}


def test_an_engine_that_writes_blanks_is_understood() -> None:
    events = [f'data: {{"model": "m", "choices": [{n}]}}\n\n'.encode() for n in range(3)]
    answer = asked((SSE, *map(chunk, (*events, b""))), naming("short", "/v1/chat/completions"))
    assert [json.loads(part) for part in data_of(answer.body)] == [
        {"model": "short", "choices": [n]} for n in range(3)
    ]


def test_a_stream_begins_before_its_first_event() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(SSE)
        await reader.read()

    async def test() -> None:
        async with house(script) as here:
            reader, writer = await here.connect()
            writer.write(naming("short", "/v1/chat/completions"))
            assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
            writer.close()

    run(test)


def feed(stream: EventStream, data: bytes, size: int) -> bytes:
    """The stream's output for data that comes in pieces of this size, and then ends."""
    pieces = (data[at : at + size] for at in range(0, len(data), size))
    return b"".join(stream.feed(piece, more=True) for piece in pieces) + stream.feed(b"", more=False)


def event_stream(dialect: Dialect) -> EventStream:
    return EventStream(
        dialect, b"r", ModelEcho("short", dialect), lambda data: error_in_event(data, "m", "POST /")
    )


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize("last", [b"data: [DONE]", b'data: {"error":{"message":"Oh.","code":400}}'])
def test_the_last_line_of_a_stream_may_lack_its_end(last: bytes, size: int) -> None:
    stream = event_stream("openai")
    first, second = feed(stream, b'data: {"id":"c","model":"m"}\n\n' + last, size).split(b"\n\n")
    assert json.loads(first.removeprefix(b"data: "))["model"] == "short"
    assert second.startswith(last[:14])
    assert (stream.error is not None) == (b"error" in last)


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("size", [2, 9, 1000])
def test_an_error_event_has_one_name(size: int, end: bytes) -> None:
    lines = (b"event: error", b'data: {"type":"error","error":{"message":"Oh."}}', b"", b"")
    output = feed(event_stream("anthropic"), end.join(lines), size)
    assert output.count(b"event: error") == output.count(b'"message":"Oh."') == 1

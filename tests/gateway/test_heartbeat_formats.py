"""Which heartbeats a request gets, and what remains of the engine's first event after them. Pure functions."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sparkd.catalog.heartbeat import HeartbeatStyle
from sparkd.gateway.heartbeats.choice import choose_format
from sparkd.gateway.heartbeats.formats import (
    Blanks,
    ChatChunks,
    Comments,
    Facts,
    Pings,
    ReasoningChunks,
    ResponseEvents,
    TextChunks,
)
from sparkd.gateway.heartbeats.opening import LONGEST, Opening, is_created_event, remove_role
from sparkd.gateway.preparation.prepared_request import PreparedRequest
from sparkd.upstream.client import EngineRequest
from tests.gateway.gateways import model
from tests.gateway.waiting import ROLE, TEXT, chat_chunk

FACTS = Facts(b'r"1', "m")
STREAM = b'{"model":"m","stream":true}'
VLLM = model("m")
COMMAND = model("m", engine="command", command=("x",))


def choose(
    path: str, style: HeartbeatStyle = "chunk", body: Any = STREAM, *, method: bytes = b"POST", **fields: Any
) -> type | None:
    request = EngineRequest(method, path.encode(), [], body)
    given: dict[str, Any] = {"served": VLLM, "blanks": False, "is_sent": False, **fields}
    served = given.pop("served")
    chosen = choose_format(PreparedRequest(served, request), style, FACTS, **given)
    return None if chosen is None else type(chosen)


@pytest.mark.parametrize(
    ("path", "chunk", "reasoning"),
    [
        ("/v1/chat/completions", ChatChunks, ReasoningChunks),
        ("/v1/chat/completions?x=1", ChatChunks, ReasoningChunks),
        ("/v1/completions", TextChunks, TextChunks),
        ("/v1/messages", Pings, Pings),
        ("/v1/responses", ResponseEvents, ResponseEvents),
    ],
)
def test_each_api_has_its_formats(path: str, chunk: type, reasoning: type) -> None:
    assert choose(path, "chunk") is chunk
    assert choose(path, "reasoning") is reasoning
    assert choose(path, "comment") is Comments
    assert choose(path, "off") is None
    assert choose(path, "chunk", b'{"stream":false}') is None
    assert choose(path, "chunk", b"{}") is None
    assert choose(path, "chunk", b"[]") is None
    assert choose(path, "chunk", b"{") is None
    assert choose(path, "chunk", method=b"GET") is None
    assert choose(path, "off", b"{}", blanks=True) is Blanks


def test_once_the_engine_has_the_request_its_response_cannot_be_created() -> None:
    assert choose("/v1/responses", is_sent=True) is Comments
    assert choose("/v1/chat/completions", is_sent=True) is ChatChunks


@pytest.mark.parametrize(
    "path",
    [
        "/v1/embeddings",
        "/v1/audio/speech",
        "/v1/rerank",
        "/tokenize",
        "/v1/chat/completions/render",
        "/other",
    ],
)
def test_what_does_not_stream_gets_no_heartbeats(path: str) -> None:
    assert choose(path) is None


def test_a_command_may_stream_at_any_path_but_audio_is_left_alone() -> None:
    assert choose("/completion", served=COMMAND) is Comments
    assert choose("/v1/audio/speech", served=COMMAND) is None


@pytest.mark.parametrize(
    ("path", "body", "chosen"),
    [
        ("/v1/embeddings", b'{"input":"x"}', Blanks),
        ("/v1/embeddings", b'{"encoding_format":"base64"}', Blanks),
        ("/v1/embeddings", b'{"encoding_format":"bytes"}', None),
        ("/v1/rerank", b"{}", Blanks),
        ("/pooling", b"{}", None),
        ("/v1/audio/speech", b"{}", None),
    ],
)
def test_only_documents_in_json_may_begin_with_blanks(path: str, body: bytes, chosen: type | None) -> None:
    assert choose(path, "chunk", body, blanks=True) is chosen


def test_an_id_with_quotes_stays_json() -> None:
    beat = ChatChunks(FACTS).heartbeat("")
    assert json.loads(beat.removeprefix(b"data: "))["id"] == 'chatcmpl-r"1'


@pytest.mark.parametrize("body", [b'{"a":1}', b' \n{"a":1}', bytearray(b'{"a":1}')])
def test_the_engine_gets_the_id_of_a_response_that_was_created(body: bytes | bytearray) -> None:
    format_ = ResponseEvents(FACTS)
    request = EngineRequest(b"POST", b"/v1/responses", [], body)
    assert format_.adapt(request) is request
    created = format_.heartbeat("").partition(b"data: ")[2]
    adapted = format_.adapt(request).body
    assert isinstance(adapted, bytes)
    assert json.loads(adapted) == {"request_id": json.loads(created)["response"]["id"], "a": 1}


@pytest.mark.parametrize(
    "delta",
    [
        {"role": "assistant"},
        {"role": "assistant", "content": None},
        {"role": "assistant", "content": "", "x": []},
    ],
)
def test_nothing_remains_of_a_chunk_with_a_role_alone(delta: Any) -> None:
    assert remove_role(chat_chunk(**delta)) == b""


@pytest.mark.parametrize(
    ("event", "remains"),
    [
        (chat_chunk(role="assistant", content="Hi"), {"content": "Hi"}),
        (chat_chunk(role="assistant", reasoning="Hm"), {"reasoning": "Hm"}),
        (chat_chunk(role="assistant", content="", tool_calls=[1]), {"content": "", "tool_calls": [1]}),
        (ROLE.replace(b'"created":5', b'"created":5,"prompt_token_ids":[1]'), {"content": ""}),
        (ROLE.replace(b'"created":5', b'"created":5,"usage":{"prompt_tokens":1}'), {"content": ""}),
        (ROLE.replace(b'"finish_reason":null', b'"finish_reason":"stop"'), {"content": ""}),
    ],
)
def test_what_else_a_first_chunk_has_remains(event: bytes, remains: Any) -> None:
    kept = json.loads(remove_role(event).removeprefix(b"data: "))
    before = json.loads(event.removeprefix(b"data: "))
    assert kept["choices"][0].pop("delta") == remains
    del before["choices"][0]["delta"]
    assert kept == before


@pytest.mark.parametrize(
    "event",
    [
        TEXT,
        b"data: [DONE]\n\n",
        b'data: {"error":{"message":"x"}}\n\n',
        b"data: \xff\n\n",
        b"data: {\n\n",
        b'data: {"choices":[]}\n\n',
        b'data: {"choices":[{"index":1,"delta":{"role":"assistant"}}]}\n\n',
        b'data: {"choices":[{"index":0,"delta":7}]}\n\n',
        b'event: x\ndata: {"choices":[{"index":0,"delta":{"role":"assistant"}}]}\n\n',
        b"retry: 5\n\n",
    ],
)
def test_an_unexpected_first_event_stays_as_it_is(event: bytes) -> None:
    assert remove_role(event) == event


def test_a_created_event_has_a_name_or_a_type() -> None:
    assert is_created_event(b"event: response.created\ndata: {}\n\n")
    assert is_created_event(b'data: {"type":"response.created"}\n\n')
    assert not is_created_event(b"event: response.in_progress\ndata: {}\n\n")
    assert not is_created_event(b'data: {"type":"error"}\n\n')


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b"\n\r\n"])
def test_an_opening_passes_comments_and_edits_one_event_however_it_is_cut(end: bytes) -> None:
    stream = end.join((b": a", b": b", b"data: 1", b"data: 2", b""))
    for cut in range(len(stream) + 1):
        opening = Opening(lambda event: b"<" + event.strip() + b">")
        got = opening.feed(stream[:cut], more=True) + opening.feed(stream[cut:], more=False)
        assert got == end.join((b": a", b": b", b"<data: 1>data: 2", b""))


def test_an_opening_that_has_no_end_is_not_kept() -> None:
    opening = Opening(lambda _: b"")
    assert opening.feed(b"x" * LONGEST, more=True) == b""
    assert opening.feed(b"x", more=True) == b"x" * (LONGEST + 1)
    opening = Opening(lambda _: b"")
    assert opening.feed(b"x", more=False) == b"x"

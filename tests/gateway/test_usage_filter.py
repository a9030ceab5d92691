"""A stream whose usage sparkd has asked for reaches its client as if nobody had asked, wherever it is cut."""

from __future__ import annotations

import json
from typing import Any, Literal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sparkd.gateway.measuring.usage_filter import UsageFilter
from sparkd.gateway.responses.event_stream import EventStream
from sparkd.gateway.responses.model_echo import ModelEcho

Engine = Literal["vllm", "sglang", "command"]

USAGE = {
    "prompt_tokens": 5,
    "total_tokens": 8,
    "completion_tokens": 3,
    "prompt_tokens_details": {"cached_tokens": 4},
}
NASTY = '"usage":{"a":1},"choices":[] \\"usage\\": null \r\n\n data: {"usage":1} "finish_reason":"stop"'


def encode(fields: dict[str, Any], *, blanks: bool = False) -> bytes:
    """A chunk as pydantic writes it, or as Python's json does."""
    return json.dumps(fields, separators=None if blanks else (",", ":")).encode()


def chunk(text: str | None = None, reason: str | None = None, **more: Any) -> dict[str, Any]:
    delta = {} if text is None else {"content": text}
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 5,
        "model": "m",
        "choices": [choice],
        **more,
    }


def vllm(texts: list[str], *, asked: bool, fingerprint: str | None) -> list[bytes]:
    """Events of vLLM: its fingerprint is in the last chunk, which is the one with the usage, if it sends that."""
    mark = {} if fingerprint is None else {"system_fingerprint": fingerprint}
    events = [chunk(""), *map(chunk, texts), chunk("", "stop", **({} if asked else mark))]
    if asked:
        events.append({**chunk(), "choices": [], "usage": USAGE, **mark})
    return list(map(encode, events))


def sglang(texts: list[str], *, asked: bool, fingerprint: str | None) -> list[bytes]:  # noqa: ARG001
    """Events of SGLang: each has `"usage":null`, whether or not it was asked."""
    events = [chunk(text, usage=None) for text in ["", *texts]] + [chunk(None, "stop", usage=None)]
    return list(map(encode, events + [{**chunk(), "choices": [], "usage": USAGE}] * asked))


def openai(texts: list[str], *, asked: bool, fingerprint: str | None) -> list[bytes]:
    """Events as OpenAI documents them: a null in every other chunk, only if asked. Python's json, with blanks."""
    more: dict[str, Any] = {"usage": None} if asked else {}
    events = [chunk(text, **more) for text in ["", *texts]]
    events.append({**more, **chunk(None, "stop"), "system_fingerprint": fingerprint})
    if asked:
        events.append({**chunk(), "choices": [], "usage": USAGE})
    return [encode(event, blanks=True) for event in events]


def last_chunk(texts: list[str], *, asked: bool, fingerprint: str | None) -> list[bytes]:  # noqa: ARG001
    """Events of an engine that puts the usage into its last chunk with a choice."""
    more = {"usage": USAGE} if asked else {}
    return [encode(chunk(text)) for text in texts] + [encode(chunk("", "stop", **more, timings={"usage": 1}))]


ENGINES: dict[str, tuple[Engine, Any]] = {
    "vllm": ("vllm", vllm),
    "sglang": ("sglang", sglang),
    "openai": ("command", openai),
    "last chunk": ("command", last_chunk),
}
ENDS = [b"\n", b"\r\n", b"\r"]
TAILS = {
    "done": [b"data: [DONE]"],
    "comments": [b": keep-alive", b"data: [DONE]"],
    "cut": [],
    "error": [b'data: {"error":{"message":"it failed","type":"server_error","code":500}}', b"data: [DONE]"],
}


def stream(events: list[bytes], tail: list[bytes], end: bytes) -> bytes:
    lines = [b"data: " + event for event in events] + tail
    return b"".join(line + end + end for line in lines)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """The data in pieces."""
    ends = sorted({place % (len(data) + 1) for place in places} | {len(data)})
    pieces = [data[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    return [piece for piece in pieces if piece]


def pass_through(pieces: list[bytes], engine: Engine | None, echo: str | None = None) -> bytes:
    """What a client gets of these pieces."""
    edited = EventStream(
        "openai",
        b"r1",
        ModelEcho(echo, "openai") if echo else None,
        lambda _: None,
        UsageFilter(engine) if engine else None,
    )
    passed = [edited.feed(piece, more=True) for piece in pieces]
    return b"".join([*passed, edited.feed(b"", more=False)])


@pytest.mark.parametrize("kind", ENGINES)
@given(
    texts=st.lists(st.sampled_from(["Hello", " ä€🙂", "", NASTY]) | st.text(max_size=20), max_size=5),
    places=st.lists(st.integers(0, 5000), max_size=12),
    end=st.sampled_from(ENDS),
    tail=st.sampled_from(list(TAILS)),
    fingerprint=st.sampled_from([None, "vllm-0.33.0-1a2b3c4d", 'odd"}']),
    echo=st.sampled_from([None, "alias"]),
)
@example(texts=["x"], places=[], end=b"\n", tail="done", fingerprint="vllm-1", echo=None)
@example(texts=["x"], places=list(range(2000)), end=b"\r\n", tail="done", fingerprint="vllm-1", echo="alias")
@example(texts=[NASTY], places=list(range(2000)), end=b"\r", tail="comments", fingerprint="vllm-1", echo=None)
def test_the_client_gets_the_stream_that_it_would_have_got(
    kind: str,
    texts: list[str],
    places: list[int],
    end: bytes,
    tail: str,
    fingerprint: str | None,
    echo: str | None,
) -> None:
    engine, make = ENGINES[kind]
    asked = stream(make(texts, asked=True, fingerprint=fingerprint), TAILS[tail], end)
    plain = stream(make(texts, asked=False, fingerprint=fingerprint), TAILS[tail], end)
    assert pass_through(cut(asked, places), engine, echo) == pass_through([plain], None, echo)


@pytest.mark.parametrize("kind", ["vllm", "sglang", "openai"])
def test_every_single_cut_gives_the_same_bytes(kind: str) -> None:
    engine, make = ENGINES[kind]
    for end in ENDS:
        asked = stream(make(["Hi"], asked=True, fingerprint="f"), TAILS["done"], end)
        plain = stream(make(["Hi"], asked=False, fingerprint="f"), TAILS["done"], end)
        for place in range(1, len(asked)):
            assert pass_through(cut(asked, [place]), engine) == plain


def test_nothing_is_delayed_but_the_last_chunk_until_the_next_event() -> None:
    filter_ = UsageFilter("vllm")
    *before, last, usage = vllm(["Hello"], asked=True, fingerprint="f")
    for event in before:
        assert filter_.feed(b"data: %b\n\n" % event, more=True) == b"data: %b\n\n" % event
    assert filter_.feed(b"data: %b\n\n" % last, more=True) == b""
    released = filter_.feed(b"data: %b\n\n" % usage, more=True)
    assert json.loads(released.removeprefix(b"data: "))["system_fingerprint"] == "f"
    assert filter_.feed(b"data: [DONE]\n\n", more=True) == b"data: [DONE]\n\n"


def test_a_last_chunk_without_anything_after_it_is_not_lost() -> None:
    filter_ = UsageFilter("vllm")
    last = b"data: %b\n\n" % vllm([], asked=False, fingerprint="f")[-1]
    assert filter_.feed(last, more=True) == b""
    assert filter_.feed(b"", more=False) == last


@pytest.mark.parametrize(
    "data",
    [
        b'data: {"usage":\n\n',
        b'data: "usage"\n\n',
        b'data: ["usage"]\n\n',
        b'data: {"choices":[],"inner":{"usage":{"prompt_tokens":1}}}\n\n',
        b': "usage"\n\n',
        b'event: "usage"\ndata: {}\n\n',
    ],
)
def test_what_is_no_usage_stays(data: bytes) -> None:
    for engine in ("vllm", "sglang", "command"):
        assert UsageFilter(engine).feed(data, more=False) == data

"""An engine's answer becomes Ollama's."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkd.ollama.answers import StreamTranslator, translate_document
from sparkd.ollama.documents import heartbeat
from sparkd.ollama.requests import Kind, TranslatedRequest, translate_request
from sparkd.ollama.times import Timing

CALL = {"index": 0, "id": "x", "type": "function", "function": {"name": "weather", "arguments": ""}}


def asked(kind: Kind = "chat", **fields: Any) -> TranslatedRequest:
    body: dict[str, dict[str, Any]] = {
        "chat": {"messages": [{"role": "user", "content": "hi"}]},
        "generate": {"prompt": "hi"},
    }
    return translate_request(kind, {"model": "m", **body.get(kind, {"input": "a", "prompt": "a"}), **fields})


def timing() -> Timing:
    return Timing(wall=1_000_000_000.0, began=10.0, granted=12.0)


def events(*chunks: dict[str, Any], usage: bool = True) -> bytes:
    """An event stream as vLLM sends it."""
    counts = {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 7}}
    each = [*chunks, counts] if usage else list(chunks)
    return b"".join(f"data: {json.dumps(one)}\n\n".encode() for one in each) + b"data: [DONE]\n\n"


def piece(finish: str | None = None, **delta: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def translate(data: bytes, request: TranslatedRequest | None = None) -> list[dict[str, Any]]:
    translator = StreamTranslator(request or asked(), timing(), lambda _: "engine error")
    lines = translator.feed(data, 13.0, more=True) + translator.feed(b"", 14.0, more=False)
    assert b"\n\n" not in lines
    assert not lines or lines.endswith(b"\n")
    return [json.loads(line) for line in lines.splitlines()]


def test_a_chat_is_one_line_for_each_piece_and_a_last_one_with_the_figures() -> None:
    lines = translate(
        events(piece(role="assistant", content=""), piece(content="Hel"), piece("stop", content="lo"))
    )
    assert [line["message"] for line in lines] == [
        {"role": "assistant", "content": text} for text in ("Hel", "lo", "")
    ]
    assert [line["done"] for line in lines] == [False, False, True]
    assert {line["model"] for line in lines} == {"m"}
    assert lines[0]["created_at"] == "2001-09-09T01:46:43.000000Z"
    last = lines[-1]
    assert last["done_reason"] == "stop"
    assert last["total_duration"] == 3_000_000_000
    assert last["load_duration"] == 2_000_000_000
    assert last["prompt_eval_duration"] == 1_000_000_000
    assert last["eval_duration"] == 0
    assert (last["prompt_eval_count"], last["eval_count"]) == (5, 7)


def test_thinking_has_a_field_of_its_own_unless_it_is_not_wanted() -> None:
    data = events(piece(reasoning="Hm"), piece(reasoning_content="."), piece("length", content="Yes"))
    lines = translate(data)
    assert [line["message"].get("thinking") for line in lines] == ["Hm", ".", None, None]
    assert lines[-1]["done_reason"] == "length"
    assert [line["message"]["content"] for line in translate(data, asked(think=False))] == ["Yes", ""]


def test_tool_calls_are_whole_and_their_arguments_are_objects() -> None:
    first, second = ({**CALL, "index": number, "id": f"id{number}"} for number in (0, 1))

    def more(index: int, arguments: str) -> dict[str, Any]:
        return piece(tool_calls=[{"index": index, "function": {"arguments": arguments}}])

    lines = translate(
        events(
            piece(tool_calls=[first]),
            more(0, '{"city": '),
            more(0, '"Rome"}'),
            piece(tool_calls=[second]),
            more(1, "{}"),
            piece("tool_calls"),
        )
    )
    assert len(lines) == 2
    assert lines[0]["message"]["tool_calls"] == [
        {"id": "id0", "function": {"index": 0, "name": "weather", "arguments": {"city": "Rome"}}},
        {"id": "id1", "function": {"index": 1, "name": "weather", "arguments": {}}},
    ]
    assert (lines[1]["done"], lines[1]["done_reason"]) == (True, "stop")


def test_a_tool_call_that_was_cut_off_is_text_because_no_tool_must_run_with_half_its_arguments() -> None:
    cut = {**CALL, "function": {"name": "delete", "arguments": '{"path": "/ho'}}
    lines = translate(events(piece(tool_calls=[cut]), piece("length")))
    assert lines[0]["message"] == {"role": "assistant", "content": 'delete{"path": "/ho'}
    assert lines[-1]["done_reason"] == "length"


def test_a_completion_has_its_text_as_response() -> None:
    first: dict[str, Any] = {"choices": [{"text": "upon", "finish_reason": None}]}
    last: dict[str, Any] = {"choices": [{"text": "", "finish_reason": "stop"}]}
    lines = translate(events(first, last), asked("generate", raw=True))
    assert [(line["response"], line["done"]) for line in lines] == [("upon", False), ("", True)]


def test_an_error_is_the_last_line() -> None:
    data = events(piece(content="a")).replace(
        b"data: [DONE]", b'data: {"error": {"message": "x"}}\n\ndata: [DONE]'
    )
    lines = translate(data)
    assert lines[-1] == {"error": "engine error"}
    assert [line.get("done") for line in lines] == [False, None]


def test_a_text_that_looks_like_an_error_is_text() -> None:
    translator = StreamTranslator(asked(), timing(), lambda _: None)
    line = translator.feed(
        events(piece(content='{"error": "no"}'), usage=False), 13.0, more=True
    ).splitlines()[0]
    assert json.loads(line)["message"]["content"] == '{"error": "no"}'


@given(st.lists(st.integers(1, 40), max_size=30))
def test_any_division_of_the_bytes_gives_the_same_lines(sizes: list[int]) -> None:
    data = events(piece(content="Grüße, 東京"), piece(tool_calls=[CALL]), piece("tool_calls"))
    whole = StreamTranslator(asked(), timing(), lambda _: None)
    expected = whole.feed(data, 13.0, more=False)
    translator, lines = StreamTranslator(asked(), timing(), lambda _: None), b""
    for size in sizes:
        lines += translator.feed(data[:size], 13.0, more=True)
        data = data[size:]
    assert lines + translator.feed(data, 13.0, more=False) == expected


def test_documents() -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 4}
    message = {
        "role": "assistant",
        "content": None,
        "reasoning": "Hm",
        "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x": [1]}'}}],
    }
    document = {"choices": [{"message": message, "finish_reason": "tool_calls"}], "usage": usage}
    answer = json.loads(translate_document(asked(), json.dumps(document).encode(), timing(), 15.0))
    assert answer["message"]["content"] == ""
    assert answer["message"]["thinking"] == "Hm"
    assert answer["message"]["tool_calls"][0]["function"]["arguments"] == {"x": [1]}
    assert (answer["done"], answer["prompt_eval_count"], answer["eval_count"]) == (True, 3, 4)
    assert answer["eval_duration"] == 3_000_000_000


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("embed", {"model": "m", "embeddings": [[0.5], [1.0]], "prompt_eval_count": 3}),
        ("embeddings", {"embedding": [0.5]}),
    ],
)
def test_embeddings(kind: Kind, expected: dict[str, Any]) -> None:
    document = {"data": [{"embedding": [0.5]}, {"embedding": [1.0]}], "usage": {"prompt_tokens": 3}}
    answer = json.loads(translate_document(asked(kind), json.dumps(document).encode(), timing(), 15.0))
    assert answer.items() >= expected.items()


def test_a_heartbeat_is_a_line_without_content() -> None:
    beat = json.loads(heartbeat("chat", "m", "2001-09-09T01:46:43Z"))
    assert (beat["message"], beat["done"]) == ({"role": "assistant", "content": ""}, False)
    beat = json.loads(heartbeat("generate", "m", "2001-09-09T01:46:43Z", "Loading"))
    assert (beat["response"], beat["thinking"], beat["done"]) == ("", "Loading", False)

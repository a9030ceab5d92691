"""Which tokens are read from a response, and which piece of a stream has the first one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkd.gateway.measuring.first_token import choose_finder
from sparkd.gateway.measuring.tokens import TAIL, Tokens, read_tokens

CHAT = {"prompt_tokens": 10, "total_tokens": 13, "completion_tokens": 3}


def read(document: Any, *, separators: tuple[str, str] = (",", ":")) -> Tokens:
    data = json.dumps(document, separators=separators).encode()
    return read_tokens(data[:1024], data[-TAIL:])


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        (CHAT, Tokens(10, None, 3)),
        ({**CHAT, "prompt_tokens_details": {"cached_tokens": 8}}, Tokens(10, 8, 3)),
        ({**CHAT, "completion_tokens_details": {"reasoning_tokens": 2}}, Tokens(10, None, 3)),
        ({"prompt_tokens": 7, "total_tokens": 7, "completion_tokens": 0}, Tokens(7, None, 0)),
        ({"prompt_tokens": 7, "total_tokens": 7}, Tokens(7, None, None)),
        ({"prompt_tokens": 10**30, "completion_tokens": 3}, Tokens(None, None, 3)),
        ({"prompt_tokens": -5, "completion_tokens": 2**63}, Tokens(None, None, None)),
        ({"total_tokens": 7}, Tokens(7, None, None)),
        (
            {
                "input_tokens": 9,
                "input_tokens_details": {"cached_tokens": 4, "input_tokens_per_turn": []},
                "output_tokens": 2,
                "output_tokens_details": {"reasoning_tokens": 1},
                "total_tokens": 11,
            },
            Tokens(9, 4, 2),
        ),
        ({"input_tokens": 5, "output_tokens": 2}, Tokens(5, None, 2)),
        (
            {"input_tokens": 5, "output_tokens": 2, "cache_creation_input_tokens": 10, "cache_read_input_tokens": 20},
            Tokens(35, 20, 2),
        ),
        ({}, Tokens()),
        ({"prompt_tokens": "many"}, Tokens()),
    ],
)  # fmt: skip
def test_each_api_has_its_own_names(usage: dict[str, Any], tokens: Tokens) -> None:
    assert read({"id": "1", "usage": usage}) == tokens
    assert read({"id": "1", "usage": usage}, separators=(", ", ": ")) == tokens
    assert read({"usage": usage, "results": [{"document": {"text": "x" * 50_000}}] * 3}) == tokens


def test_a_response_without_usage_is_unknown() -> None:
    assert read({"id": "1"}) == Tokens()
    assert read({"usage": None}) == Tokens()
    assert read_tokens(b"", b"") == Tokens()


def test_cohere_and_llama_cpp() -> None:
    assert read({"meta": {"billed_units": {"input_tokens": 6}}}) == Tokens(6, None, None)
    timings = {"cache_n": 20, "prompt_n": 5, "prompt_ms": 1.5, "predicted_n": 7, "predicted_per_second": 3.2}
    assert read({"choices": [], "timings": timings}) == Tokens(25, 20, 7)


def test_the_beginning_has_what_the_end_lacks() -> None:
    start = b'data: {"type":"message_start","message":{"usage":{"input_tokens":12,"output_tokens":0}}}\n\n'
    end = b'data: {"type":"message_delta","usage":{"output_tokens":4}}\n\ndata: {"type":"message_stop"}\n\n'
    assert read_tokens(start, end) == Tokens(12, None, 4)


@given(text=st.text(max_size=50))
def test_no_text_is_taken_for_usage(text: str) -> None:
    forged = text + '"usage":{"prompt_tokens":99,"completion_tokens":99}' + text
    document = {
        "choices": [{"message": {"content": forged, "tool_calls": [{"function": {"arguments": forged}}]}}]
    }
    assert read(document) == Tokens()
    assert read({"usage": CHAT, **document}) == Tokens(10, None, 3)
    assert read({**document, "usage": CHAT}) == Tokens(10, None, 3)


def delta(**fields: Any) -> bytes:
    return b"data: " + json.dumps({"choices": [{"index": 0, "delta": fields}]}).encode() + b"\n\n"


@pytest.mark.parametrize(
    ("target", "data", "expected"),
    [
        (b"/v1/chat/completions", delta(role="assistant", content=""), False),
        (b"/v1/chat/completions", delta(role="assistant", content=None), False),
        (b"/v1/chat/completions", delta(role="assistant", tool_calls=[]), False),
        (b"/v1/chat/completions", b": keep-alive\n\n", False),
        (b"/v1/chat/completions", b"data: [DONE]\n\n", False),
        (b"/v1/chat/completions", b'data: {"error":{"message":"it failed"}}\n\n', False),
        (b"/v1/chat/completions", delta(content="Hi"), True),
        (b"/v1/chat/completions?x=1", delta(content='"'), True),
        (b"/v1/chat/completions", delta(reasoning="Hm"), True),
        (b"/v1/chat/completions", delta(reasoning_content="Hm"), True),
        (b"/v1/chat/completions", delta(refusal="No"), True),
        (b"/v1/chat/completions", delta(tool_calls=[{"index": 0, "id": "1"}]), True),
        (b"/v1/completions", b'data: {"choices":[{"text":""}]}\n\n', False),
        (b"/v1/completions", b'data: {"choices":[{"text":"a"}]}\n\n', True),
        (b"/v1/messages", b'event: message_start\ndata: {"type":"message_start","message":{"content":[]}}\n\n', False),
        (b"/v1/messages", b'event: ping\ndata: {"type":"ping"}\n\n', False),
        (b"/v1/messages", b'data: {"type":"content_block_start","content_block":{"text":""}}\n\n', False),
        (b"/v1/messages", b'data: {"type":"content_block_delta","delta":{"text":"a"}}\n\n', True),
        (b"/v1/responses", b'data: {"type":"response.created","response":{"instructions":"x.delta\\""}}\n\n', False),
        (b"/v1/responses", b'data: {"type":"keepalive"}\n\n', False),
        (b"/v1/responses", b'data: {"type":"response.output_text.delta","delta":"a"}\n\n', True),
        (b"/v1/responses", b'data: {"type":"response.function_call_arguments.delta"}\n\n', True),
    ],
)  # fmt: skip
def test_the_first_token_is_text_reasoning_or_a_tool_call(target: bytes, data: bytes, expected: bool) -> None:
    assert (choose_finder(target)(data) >= 0) is expected

"""Shapes of messages that engines reject, in chat and messages."""

from typing import Any

import pytest

from sparkd.catalog.templates import Template
from sparkd.rewriting import RewriteContext
from sparkd.rewriting.rewrite_context import Api
from tests.rewriting.corpus import (
    ANSWER,
    BLOCK_IMAGE,
    IMAGE,
    IMAGE_URL,
    USER,
    answered,
    call,
    calls,
    result,
    text,
)
from tests.rewriting.examples import model, rewrite_to_dict


def fix(api: Api, *turns: Any) -> list[Any]:
    context = RewriteContext(model(vision=True), api, template=Template(null_content=True))
    sent: list[Any] = rewrite_to_dict({"messages": list(turns)}, context)["messages"]
    return sent


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, ""),
        (3, "3"),
        ({"a": 1}, [text('{"a": 1}')]),
        (text("Hi"), [text("Hi")]),
        ([None, text("Hi")], [text("Hi")]),
        ([text(None), text("Hi")], [text("Hi")]),
        ([{"type": "weird", "text": "Hi"}], [text("Hi")]),
        ([text("Hi"), {"type": "weird"}], [text("Hi"), text("(weird, left out)")]),
        ([{"type": "image_url", "image_url": IMAGE_URL}], [IMAGE]),
        ([BLOCK_IMAGE], [IMAGE]),
        ([{"type": "redacted_thinking", "data": "x"}], ""),
    ],
)
def test_content_of_a_chat(content: Any, expected: Any) -> None:
    assert fix("chat", {"role": "user", "content": content}) == [{"role": "user", "content": expected}]


@pytest.mark.parametrize(
    "turn",
    [
        {
            **ANSWER,
            "refusal": None,
            "audio": None,
            "function_call": None,
            "tool_calls": None,
            "annotations": [],
        },
        {**ANSWER, "reasoning_content": "Hm", "reasoning_details": [{"type": "reasoning.text"}]},
        {"role": "user", "content": [{**text("Hi"), "cache_control": {"type": "ephemeral"}}]},
        {"role": "user", "content": ["Hi"]},
    ],
)
def test_what_engines_accept_passes(turn: Any) -> None:
    assert fix("chat", USER, turn) == [USER, turn]


@pytest.mark.parametrize(
    ("turn", "expected"),
    [
        ({**ANSWER, "name": None}, ANSWER),
        ({**ANSWER, "tool_calls": []}, ANSWER),
        ({**ANSWER, "tool_calls": [None]}, ANSWER),
        ({**ANSWER, "reasoning": {"a": 1}}, ANSWER),
        (
            {"role": "assistant", "content": None, "refusal": "No."},
            {"role": "assistant", "content": "No.", "refusal": None},
        ),
        (
            answered({"type": "thinking", "thinking": "Hm", "signature": "x"}, text("Hello")),
            {**answered(text("Hello")), "reasoning": "Hm"},
        ),
    ],
)
def test_messages_of_a_chat(turn: Any, expected: Any) -> None:
    assert fix("chat", USER, turn) == [USER, expected]


def test_calls_of_a_chat() -> None:
    custom = {"id": "c", "type": "custom", "custom": {"name": "f", "input": "x"}}
    untyped = {"id": "d", "function": {"name": "f", "arguments": "{}"}}
    assert fix("chat", USER, calls(custom, untyped), result("c"), result("d"))[1] == calls(
        call("c", '{"input":"x"}'), call("d", "{}")
    )


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, ""),
        (text("Hi"), [text("Hi")]),
        (["Hi"], [text("Hi")]),
        ([{"text": "Hi"}], [text("Hi")]),
        ([text(""), text("Hi")], [text("Hi")]),
        ([text("")], ""),
        ([IMAGE], [BLOCK_IMAGE]),
        ([{"type": "thinking", "thinking": None}, text("Hi")], [text("Hi")]),
        (
            [{"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "x"}}],
            [text('[web_search] {"query": "x"}')],
        ),
        (
            [
                {
                    "type": "web_search_tool_result",
                    "content": [{"title": "T", "url": "https://x", "encrypted": "y"}],
                }
            ],
            [text("[web_search result]\nT https://x")],
        ),
    ],
)
def test_blocks_of_messages(content: Any, expected: Any) -> None:
    assert fix("messages", {"role": "user", "content": content}) == [{"role": "user", "content": expected}]


def test_a_system_prompt_has_only_texts() -> None:
    body = {"system": [text("A"), None, BLOCK_IMAGE, "B"], "messages": [USER]}
    sent = rewrite_to_dict(body, RewriteContext(model(), "messages"))
    assert sent["system"] == [text("A"), text("B")]


def test_the_owner_can_turn_all_of_it_off() -> None:
    body = {"messages": [{"role": "user", "content": None}, calls(call(arguments="")), {"role": "assistant"}]}
    assert rewrite_to_dict(body, RewriteContext(model(repair_history=False))) == body

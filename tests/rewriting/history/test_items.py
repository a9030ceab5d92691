"""Items of /v1/responses."""

import json
from typing import Any

import pytest

from sparkd.rewriting import RewriteContext
from tests.rewriting.corpus import (
    ANSWER,
    INPUT_IMAGE,
    USER,
    call,
    input_text,
    made,
    message,
    output,
    output_text,
    text,
)
from tests.rewriting.examples import model, rewrite_to_dict

COMPLETE = message("assistant", output_text("Hello", annotations=[]), id="msg_1", status="completed")
ITEM_ANSWER = {"type": "message", **ANSWER}


def fix(*items: Any, vision: bool = False) -> list[Any]:
    context = RewriteContext(model(vision=vision), "responses")
    sent: list[Any] = rewrite_to_dict({"input": list(items)}, context)["input"]
    return sent


@pytest.mark.parametrize(
    "items",
    [
        [USER, COMPLETE, USER],
        [message("user", input_text("Hi")), ANSWER, USER],
        [
            USER,
            {"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": "Hm"}]},
            COMPLETE,
            USER,
        ],
        [USER, {**made(), "id": None, "status": None}, {**output(), "id": None}],
    ],
)
def test_what_engines_accept_passes(items: list[Any]) -> None:
    assert fix(*items) == items


@pytest.mark.parametrize(
    "answer",
    [
        message("assistant", output_text("Hello"), id=None),
        {"role": "assistant", "content": [output_text("Hello")]},
        {"role": "assistant", "content": [text("Hello")]},
        message("assistant", output_text("Hello", annotations=[{"type": "foreign"}]), id="m", status="done"),
        message("assistant", {"type": "refusal", "refusal": "Hello"}),
    ],
)
def test_an_incomplete_answer_becomes_a_text(answer: Any) -> None:
    assert fix(USER, answer, USER) == [USER, ITEM_ANSWER, USER]


def test_of_an_answer_in_several_parts_none_is_lost() -> None:
    [answer] = fix(USER, message("assistant", output_text("A"), output_text("B")))[1:]
    assert answer["content"] == "A\n\nB"


def test_reasoning_is_completed_merged_or_removed() -> None:
    empty: dict[str, Any] = {"type": "reasoning", "id": None, "summary": [], "encrypted_content": None}
    encrypted = {"type": "reasoning", "id": "r", "summary": [], "encrypted_content": "gAAAA"}
    assert fix(USER, empty, ANSWER, encrypted, ANSWER, USER) == [USER, ANSWER, ANSWER, USER]
    summary = [{"type": "summary_text", "text": "Hm"}, {"type": "summary_text", "text": "so"}]
    thoughts = [{"type": "reasoning", "summary": summary}, {"type": "reasoning", "content": [text("Then")]}]
    assert fix(USER, *thoughts, ANSWER) == [
        USER,
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [],
            "content": [{"type": "reasoning_text", "text": "Hm\n\nso\n\nThen"}],
        },
        ANSWER,
    ]


@pytest.mark.parametrize(
    ("item", "name", "arguments", "result"),
    [
        (
            {"type": "custom_tool_call", "call_id": "c", "name": "patch", "input": "***"},
            "patch",
            {"input": "***"},
            None,
        ),
        (
            {"type": "local_shell_call", "call_id": "c", "action": {"type": "exec", "command": ["ls"]}},
            "local_shell",
            {"type": "exec", "command": ["ls"]},
            None,
        ),
        (
            {
                "type": "web_search_call",
                "id": "c",
                "status": "completed",
                "action": {"type": "search", "query": "x"},
            },
            "web_search",
            {"type": "search", "query": "x"},
            "(completed)",
        ),
        (
            {
                "type": "mcp_call",
                "id": "c",
                "name": "f",
                "server_label": "s",
                "arguments": '{"a":1}',
                "output": "x",
            },
            "f",
            {"a": 1},
            "x",
        ),
        (
            {"type": "image_generation_call", "id": "c", "status": "completed", "result": "A" * 99_999},
            "image_generation",
            {},
            "(too long, left out)",
        ),
    ],
)
def test_calls_of_other_kinds_become_function_calls(
    item: Any, name: str, arguments: Any, result: str | None
) -> None:
    items = fix(USER, item, {"type": "custom_tool_call_output", "call_id": "c", "output": "ok"}, USER)
    assert (items[1]["type"], items[1]["name"], items[1]["call_id"]) == ("function_call", name, "c")
    assert json.loads(items[1]["arguments"]) == arguments
    assert items[2] == output("c", result or "ok")


@pytest.mark.parametrize("kind", ["item_reference", "compaction", "mcp_list_tools"])
def test_what_only_its_server_can_read_is_removed(kind: str) -> None:
    assert fix(USER, {"type": kind, "id": "x"}, ANSWER, USER) == [USER, ANSWER, USER]


def test_an_unknown_item_is_kept_as_text() -> None:
    assert fix({"type": "bogus", "x": 1}) == [
        {"type": "message", "role": "user", "content": '{"type":"bogus","x":1}'}
    ]


def test_parts_of_a_chat_become_those_of_responses() -> None:
    link = {"type": "image_url", "image_url": {"url": INPUT_IMAGE["image_url"]}}
    assert fix({"role": "user", "content": [text("Hi"), link, None]}, vision=True) == [
        {"role": "user", "content": [input_text("Hi"), {**INPUT_IMAGE, "detail": "auto"}]}
    ]


def test_messages_of_a_chat_become_items() -> None:
    turn = {"role": "assistant", "content": "Hello", "tool_calls": [call("c")]}
    assert fix(USER, turn, {"role": "tool", "tool_call_id": "c", "content": "x"}) == [
        USER,
        ITEM_ANSWER,
        made("c", '{"a": 1}'),
        output("c", "x"),
    ]


@pytest.mark.parametrize(
    ("value", "expected"), [(None, ""), ({"a": 1}, '{"a": 1}'), ([text("a")], "a"), (3, "3")]
)
def test_an_output_is_a_text(value: Any, expected: str) -> None:
    assert fix(USER, made(), output(value=value))[2] == output(value=expected)

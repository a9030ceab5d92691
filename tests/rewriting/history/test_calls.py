"""Tool calls and their results: each has the other, and an id of its own."""

from typing import Any

import pytest

from sparkd.catalog.templates import Template
from sparkd.rewriting import RewriteContext
from sparkd.rewriting.history.call_ids import shorten_id
from sparkd.rewriting.rewrite_context import Api
from tests.rewriting.corpus import (
    ANSWER,
    USER,
    answered,
    call,
    calls,
    made,
    output,
    result,
    returned,
    said,
    text,
    use,
)
from tests.rewriting.examples import model, rewrite_to_dict

NONE = "(no result: the call was interrupted)"
NO_RESULT = {"role": "tool", "tool_call_id": "b", "content": NONE}
NO_OUTPUT = {"type": "function_call_output", "call_id": "b", "output": NONE}
NO_BLOCK = {"type": "tool_result", "tool_use_id": "b", "content": NONE, "is_error": True}


def pair(api: Api, turns: list[Any], **template: Any) -> list[Any]:
    context = RewriteContext(model(vision=True), api, template=Template(null_content=True, **template))
    sent: list[Any] = rewrite_to_dict(
        {"input" if api == "responses" else "messages": turns}, context
    ).popitem()[1]
    return sent


@pytest.mark.parametrize(
    ("api", "turns", "expected"),
    [
        ("chat", [USER, calls(call("b")), USER], [USER, calls(call("b")), NO_RESULT, USER]),
        (
            "chat",
            [USER, calls(call("a"), call("b")), result("a"), USER],
            [USER, calls(call("a"), call("b")), result("a"), NO_RESULT, USER],
        ),
        (
            "messages",
            [USER, answered(use("b")), USER],
            [USER, answered(use("b")), said(NO_BLOCK, text("Hi"))],
        ),
        (
            "messages",
            [USER, answered(use("a"), use("b")), said(returned("a"), text("Stop"))],
            [USER, answered(use("a"), use("b")), said(returned("a"), NO_BLOCK, text("Stop"))],
        ),
        (
            "messages",
            [USER, answered(use("b")), ANSWER, USER],
            [USER, answered(use("b")), said(NO_BLOCK), ANSWER, USER],
        ),
        ("responses", [USER, made("b"), USER], [USER, made("b"), NO_OUTPUT, USER]),
        (
            "responses",
            [USER, made("b"), made("a"), output("a"), USER],
            [USER, made("b"), made("a"), output("a"), NO_OUTPUT, USER],
        ),
    ],
)
def test_a_call_without_a_result_gets_one(api: Api, turns: list[Any], expected: list[Any]) -> None:
    assert pair(api, turns) == expected


@pytest.mark.parametrize(
    ("api", "turns"),
    [
        ("chat", [USER, calls(call("a"))]),
        ("messages", [USER, answered(use("a"))]),
        ("responses", [USER, made("a"), made("b")]),
        ("chat", [USER, calls(call("a")), USER, result("a")]),
    ],
)
def test_a_call_whose_result_may_come_is_left_alone(api: Api, turns: list[Any]) -> None:
    assert pair(api, turns) == turns


@pytest.mark.parametrize(
    ("api", "turns", "expected"),
    [
        ("chat", [USER, result("a", "x")], [USER, {"role": "user", "content": "[Tool result]\nx"}]),
        (
            "messages",
            [USER, ANSWER, said(returned("a", "x"), text("And?"))],
            [USER, ANSWER, said(text("[Tool result]\nx"), text("And?"))],
        ),
        (
            "responses",
            [USER, output("a", "x")],
            [USER, {"type": "message", "role": "user", "content": "[Tool result]\nx"}],
        ),
        (
            "chat",
            [USER, calls(call("a")), result("a"), result("a", "x")],
            [USER, calls(call("a")), result("a"), {"role": "user", "content": "[Tool result]\nx"}],
        ),
    ],
)
def test_a_result_without_a_call_becomes_a_users_text(
    api: Api, turns: list[Any], expected: list[Any]
) -> None:
    assert pair(api, turns) == expected


def test_calls_with_one_id_get_ids_of_their_own() -> None:
    turns = [
        USER,
        calls(call("a"), call("a")),
        result("a", "1"),
        result("a", "2"),
        calls(call("a")),
        result("a", "3"),
    ]
    assert pair("chat", turns) == [
        USER,
        calls(call("a"), call("a_2")),
        result("a", "1"),
        result("a_2", "2"),
        calls(call("a_3")),
        result("a_3", "3"),
    ]
    blocks = [USER, answered(use("a"), use("a")), said(returned("a"), returned("a"))]
    assert pair("messages", blocks) == [
        USER,
        answered(use("a"), use("a_2")),
        said(returned("a"), returned("a_2")),
    ]
    items = [USER, made("a"), output("a"), made("a"), output("a")]
    assert pair("responses", items) == [USER, made("a"), output("a"), made("a_2"), output("a_2")]


def test_missing_ids_are_given() -> None:
    turns = [USER, calls(call(None), call("b")), {"role": "tool", "content": "1"}, result("b")]
    assert pair("chat", turns) == [USER, calls(call("call_0"), call("b")), result("call_0", "1"), result("b")]


def test_short_ids_are_the_same_in_calls_and_results_and_in_every_request() -> None:
    id_ = shorten_id("toolu_1")
    assert len(id_) == 9
    assert id_.isalnum()
    assert pair("chat", [USER, calls(call("toolu_1")), result("toolu_1")], short_call_ids=True) == [
        USER,
        calls(call(id_)),
        result(id_),
    ]
    assert pair("messages", [USER, answered(use()), said(returned())], short_call_ids=True) == [
        USER,
        answered(use(id_)),
        said(returned(id_)),
    ]
    assert pair("responses", [USER, made("toolu_1"), output("toolu_1")], short_call_ids=True) == [
        USER,
        made(id_),
        output(id_),
    ]
    assert shorten_id("abcDEF123") == "abcDEF123"

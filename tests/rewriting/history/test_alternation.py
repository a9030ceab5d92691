"""Roles that alternate, in every API."""

from typing import Any

import pytest

from sparkd.catalog.templates import Template
from sparkd.rewriting import RewriteContext
from sparkd.rewriting.rewrite_context import Api
from tests.rewriting.corpus import (
    ANSWER,
    SYSTEM,
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

UNDERSTOOD = {"role": "assistant", "content": "Understood."}
BOTH = {"role": "user", "content": "Hi\n\nHi"}


@pytest.mark.parametrize(
    ("api", "turns", "expected"),
    [
        ("chat", [SYSTEM, USER, USER, ANSWER], [SYSTEM, BOTH, ANSWER]),
        ("messages", [USER, USER, ANSWER], [BOTH, ANSWER]),
        (
            "messages",
            [USER, said(text("B")), ANSWER, ANSWER],
            [{**USER, "content": "Hi\n\nB"}, {**ANSWER, "content": "Hello\n\nHello"}],
        ),
        ("responses", [USER, USER, ANSWER], [BOTH, ANSWER]),
        ("chat", [ANSWER, USER], [{"role": "user", "content": " "}, ANSWER, USER]),
        ("messages", [ANSWER, USER], [{"role": "user", "content": "Begin."}, ANSWER, USER]),
        (
            "responses",
            [ANSWER, USER],
            [{"type": "message", "role": "user", "content": "Begin."}, ANSWER, USER],
        ),
        (
            "chat",
            [USER, calls(call()), result(), USER],
            [USER, calls(call()), result(), UNDERSTOOD, USER],
        ),
        (
            "messages",
            [USER, answered(use()), said(returned(), text("And?"))],
            [USER, answered(use()), said(returned()), UNDERSTOOD, said(text("And?"))],
        ),
        (
            "responses",
            [USER, made(), output(), USER],
            [USER, made(), output(), {"type": "message", **UNDERSTOOD}, USER],
        ),
    ],
)
def test_turns_alternate_where_the_template_wants_it(api: Api, turns: Any, expected: Any) -> None:
    field = "input" if api == "responses" else "messages"
    strict = RewriteContext(model(), api, template=Template(alternates=True, null_content=True))
    free = RewriteContext(model(), api, template=Template(null_content=True, needs_user=False))
    assert rewrite_to_dict({field: turns}, strict)[field] == expected
    assert rewrite_to_dict({field: turns}, free)[field] == turns


@pytest.mark.parametrize(
    "next_",
    [{"role": "user", "content": "And?"}, {"role": "user", "content": [{"type": "text", "text": "And?"}]}],
)
def test_in_messages_results_are_answered_before_the_users_next_message(next_: Any) -> None:
    use = {"type": "tool_use", "id": "call00001", "name": "f", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "call00001", "content": "done"}
    turns = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": [use]},
        {"role": "user", "content": [result]},
    ]
    context = RewriteContext(model(), "messages", template=Template(alternates=True))
    sent = rewrite_to_dict({"messages": [*turns, next_]}, context)["messages"]
    assert sent == [*turns, {"role": "assistant", "content": "Understood."}, next_]
    assert rewrite_to_dict({"messages": sent}, context)["messages"] == sent


def test_in_messages_a_result_behind_another_message_becomes_a_users_text() -> None:
    use = {"type": "tool_use", "id": "call00001", "name": "f", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "call00001", "content": "done"}
    turns = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": [use]},
        {"role": "user", "content": "wait"},
        {"role": "user", "content": [result]},
    ]
    context = RewriteContext(model(), "messages", template=Template(alternates=True))
    sent = rewrite_to_dict({"messages": turns}, context)["messages"]
    assert [turn["role"] for turn in sent] == ["user", "assistant", "user", "assistant", "user"]
    assert sent[-1]["content"] == "wait\n\n[Tool result]\ndone"
    assert rewrite_to_dict({"messages": sent}, context)["messages"] == sent

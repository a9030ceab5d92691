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

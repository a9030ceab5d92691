"""A user turn, where a template rejects a conversation without one."""

from typing import Any

import pytest

from sparkd.catalog.templates import Template
from sparkd.rewriting import RewriteContext
from sparkd.rewriting.rewrite_context import Api
from tests.rewriting.corpus import (
    ANSWER,
    SYSTEM,
    answered,
    call,
    calls,
    made,
    output,
    result,
    returned,
    said,
    use,
)
from tests.rewriting.examples import model, rewrite_to_dict

BEGIN = {"role": "user", "content": "Begin."}
BEGIN_ITEM = {"type": "message", **BEGIN}
CALLS = [{**calls(call()), "content": ""}, result()]


@pytest.mark.parametrize(
    ("api", "body", "expected"),
    [
        ("chat", {"messages": [SYSTEM]}, {"messages": [SYSTEM, BEGIN]}),
        ("chat", {"messages": [SYSTEM, ANSWER]}, {"messages": [SYSTEM, BEGIN, ANSWER]}),
        ("chat", {"messages": CALLS}, {"messages": [BEGIN, *CALLS]}),
        ("messages", {"messages": [ANSWER]}, {"messages": [BEGIN, ANSWER]}),
        (
            "messages",
            {"messages": [answered(use()), said(returned())]},
            {"messages": [BEGIN, answered(use()), said(returned())]},
        ),
        ("messages", {"system": "A", "messages": []}, {"system": "A", "messages": [BEGIN]}),
        ("responses", {"instructions": "A"}, {"instructions": "A", "input": "Begin."}),
        ("responses", {"instructions": "A", "input": []}, {"instructions": "A", "input": [BEGIN_ITEM]}),
        ("responses", {"input": [made(), output()]}, {"input": [BEGIN_ITEM, made(), output()]}),
    ],
)
def test_one_is_added_behind_the_system_messages(api: Api, body: Any, expected: Any) -> None:
    assert rewrite_to_dict(body, RewriteContext(model(), api)) == expected
    assert rewrite_to_dict(body, RewriteContext(model(), api, template=Template(needs_user=False))) == body


@pytest.mark.parametrize(
    ("api", "body"),
    [
        ("chat", {"messages": []}),
        ("chat", {"messages": None}),
        ("messages", {"messages": []}),
        ("responses", {"input": "Hi"}),
        ("responses", {"input": []}),
        ("responses", {}),
    ],
)
def test_a_request_that_says_nothing_gets_none(api: Api, body: Any) -> None:
    assert rewrite_to_dict(body, RewriteContext(model(), api)) == body

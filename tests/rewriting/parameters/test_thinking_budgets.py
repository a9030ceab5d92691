"""Budgets for thinking, and the switch at the top level."""

from typing import Any

import pytest

from sparkd.rewriting import RewriteContext
from sparkd.rewriting.rewrite_context import Api
from tests.rewriting.examples import model, rewrite_to_dict

REASONING = model(source="a/b")
PLAIN = model(source="a/b", options={})


def thinking(budget: Any) -> dict[str, Any]:
    return {"type": "enabled", "budget_tokens": budget}


@pytest.mark.parametrize(
    ("given", "limit", "sent"),
    [
        (thinking(2000), 4000, thinking(2000)),
        (thinking(32_000), 4000, thinking(3999)),
        (thinking(100), 4000, thinking(1024)),
        (thinking(2000), 1024, {"type": "adaptive"}),
        (thinking(0), 4000, {"type": "disabled"}),
        (thinking(-1), 4000, {"type": "disabled"}),
        (thinking("x"), 4000, {"type": "adaptive"}),
        ({"type": "enabled"}, 4000, {"type": "adaptive"}),
        ({"type": "adaptive"}, 4000, {"type": "adaptive"}),
        ({"type": "disabled"}, 4000, {"type": "disabled"}),
        ({"type": "auto"}, 4000, None),
        ({}, 4000, None),
        (True, 4000, None),
    ],
)
def test_anthropics_budget_is_brought_into_range(given: Any, limit: int, sent: Any) -> None:
    body = {"thinking": given, "max_tokens": limit}
    assert rewrite_to_dict(body, RewriteContext(REASONING, "messages")).get("thinking") == sent


def test_the_range_ends_where_the_context_does() -> None:
    entry = model(source="a/b", context_length=4096, margin=0)
    body = {
        "messages": [{"role": "user", "content": "hi"}],
        "max_tokens": 32_000,
        "thinking": thinking(31_999),
    }
    result = rewrite_to_dict(body, RewriteContext(entry, "messages"))
    assert result["thinking"]["budget_tokens"] == result["max_tokens"] - 1 < 4096


def test_an_engine_without_a_reasoning_parser_gets_no_budget() -> None:
    body = {"thinking": thinking(2000), "max_tokens": 4000}
    result = rewrite_to_dict(body, RewriteContext(PLAIN, "messages"))
    assert result == {"thinking": {"type": "adaptive"}, "max_tokens": 4000}
    apis: list[Api] = ["chat", "completions", "responses"]
    for api in apis:
        assert rewrite_to_dict({"thinking_token_budget": 5}, RewriteContext(PLAIN, api)) == {}


@pytest.mark.parametrize(
    ("api", "body", "sent"),
    [
        ("chat", {"thinking_token_budget": 500}, 500),
        ("chat", {"thinking_token_budget": "500"}, 500),
        ("chat", {"thinking_token_budget": -1}, None),
        ("chat", {"thinking_token_budget": None}, None),
        ("chat", {"thinking_budget": 500}, 500),
        ("chat", {"thinking_budget": 500, "thinking_token_budget": 9}, 9),
        ("completions", {"thinking_budget": "500"}, 500),
        ("chat", {"reasoning": {"max_tokens": 500}}, 500),
    ],
)
def test_other_budgets_are_moved_to_the_field_that_vllm_reads(
    api: Api, body: dict[str, Any], sent: Any
) -> None:
    result = rewrite_to_dict(body, RewriteContext(REASONING, api))
    assert result.get("thinking_token_budget") == sent
    assert "thinking_budget" not in result


@pytest.mark.parametrize("api", ["chat", "responses", "messages"])
@pytest.mark.parametrize(("given", "on"), [(True, True), (False, False), ("false", False)])
def test_a_switch_at_the_top_level_is_moved_to_the_template(api: Api, given: Any, on: bool) -> None:
    result = rewrite_to_dict({"enable_thinking": given}, RewriteContext(model(), api))
    assert result == {"chat_template_kwargs": {"enable_thinking": on}}


def test_the_templates_own_switch_counts_more() -> None:
    body = {"enable_thinking": True, "chat_template_kwargs": {"enable_thinking": False}}
    assert rewrite_to_dict(body, RewriteContext(model())) == {
        "chat_template_kwargs": {"enable_thinking": False}
    }


def test_it_keeps_thinking_on_where_the_owner_turned_it_off() -> None:
    entry = model(thinking_switch=True, disable_thinking=True)
    assert rewrite_to_dict({"enable_thinking": True}, RewriteContext(entry)) == {
        "chat_template_kwargs": {"enable_thinking": True, "thinking": True}
    }

"""Thinking: one switch in the chat template, said in many ways."""

from typing import Any

import pytest

from sparkd.rewriting import RewriteContext
from sparkd.rewriting.rewrite_context import Api
from tests.rewriting.examples import model, rewrite_to_dict

SWITCH = model(thinking_switch=True)
DISABLED = model(disable_thinking=True)
BOTH = model(thinking_switch=True, disable_thinking=True)


def kwargs(on: bool, **more: Any) -> dict[str, Any]:
    return {"chat_template_kwargs": {**more, "enable_thinking": on, "thinking": on}}


@pytest.mark.parametrize("on", [True, False])
def test_a_flag_becomes_the_switch(on: bool) -> None:
    assert rewrite_to_dict({"thinking": on}, RewriteContext(SWITCH)) == kwargs(on)
    assert rewrite_to_dict(
        {"thinking": on, "chat_template_kwargs": {"a": 1}}, RewriteContext(SWITCH)
    ) == kwargs(on, a=1)


@pytest.mark.parametrize(("kind", "on"), [("enabled", True), ("disabled", False)])
def test_anthropics_flag_is_an_object(kind: str, on: bool) -> None:
    body = {"thinking": {"type": kind, "budget_tokens": 9}, "messages": []}
    assert rewrite_to_dict(body, RewriteContext(SWITCH, "messages")) == {"messages": [], **kwargs(on)}


def test_whoever_sets_the_switch_is_heard_and_never_contradicted() -> None:
    body = {"thinking": True, "chat_template_kwargs": {"enable_thinking": False}}
    assert rewrite_to_dict(body, RewriteContext(SWITCH)) == kwargs(False)
    body = {"thinking": True, "chat_template_kwargs": {"enable_thinking": None, "thinking": None}}
    assert rewrite_to_dict(body, RewriteContext(SWITCH)) == kwargs(True)


@pytest.mark.parametrize("value", ["yes", 1, None, {}])
def test_a_flag_that_is_none_stays(value: Any) -> None:
    assert rewrite_to_dict({"thinking": value}, RewriteContext(SWITCH)) == {"thinking": value}


@pytest.mark.parametrize(
    "body",
    [{"reasoning_effort": " HIGH "}, {"reasoningEffort": "max"}, {"reasoning": {"effort": "auto"}}],
)
@pytest.mark.parametrize("api", ["chat", "responses", "messages"])
def test_an_effort_switches_it_on(body: dict[str, Any], api: Api) -> None:
    assert rewrite_to_dict(body, RewriteContext(SWITCH, api)) == kwargs(True)


def test_no_effort_switches_it_off_and_the_rest_of_reasoning_stays() -> None:
    body = {"reasoning": {"effort": "none", "summary": "auto"}}
    assert rewrite_to_dict(body, RewriteContext(SWITCH)) == {
        "reasoning": {"summary": "auto"},
        **kwargs(False),
    }


def test_an_effort_nobody_knows_is_taken_out() -> None:
    assert rewrite_to_dict({"reasoning_effort": "banana"}, RewriteContext(SWITCH)) == {}


@pytest.mark.parametrize("value", ["", None])
def test_an_effort_that_says_nothing_is_left_out(value: Any) -> None:
    assert rewrite_to_dict({"reasoning_effort": value}, RewriteContext(SWITCH)) == {}


def test_a_flag_counts_more_than_an_effort() -> None:
    assert rewrite_to_dict({"thinking": False, "reasoning_effort": "high"}, RewriteContext(SWITCH)) == kwargs(
        False
    )


@pytest.mark.parametrize("given", [{}, {"chat_template_kwargs": None}, {"chat_template_kwargs": []}])
def test_a_model_with_thinking_disabled_thinks_only_when_asked(given: dict[str, Any]) -> None:
    assert rewrite_to_dict(given, RewriteContext(DISABLED)) == kwargs(False)
    assert rewrite_to_dict({**given, "reasoning_effort": "low"}, RewriteContext(BOTH)) == kwargs(True)


def test_an_explicit_null_is_something_said() -> None:
    body = {"chat_template_kwargs": {"thinking": None}}
    assert rewrite_to_dict(body, RewriteContext(DISABLED)) == body


@pytest.mark.parametrize("api", ["completions", "other"])
def test_paths_that_are_no_conversation_get_no_switch(api: Api) -> None:
    assert rewrite_to_dict({"thinking": True}, RewriteContext(BOTH, api)) == {"thinking": True}

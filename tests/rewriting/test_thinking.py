"""Thinking: one switch in the chat template, said in many ways."""

from typing import Any

import pytest

from sparkd.rewriting import Case
from sparkd.rewriting.case import Api
from tests.rewriting.subjects import mended, model

SWITCH = model(thinking_switch=True)
QUIET = model(quiet=True)
BOTH = model(thinking_switch=True, quiet=True)


def kwargs(on: bool, **more: Any) -> dict[str, Any]:
    return {"chat_template_kwargs": {**more, "enable_thinking": on, "thinking": on}}


@pytest.mark.parametrize("on", [True, False])
def test_a_flag_becomes_the_switch(on: bool) -> None:
    assert mended({"thinking": on}, Case(SWITCH)) == kwargs(on)
    assert mended({"thinking": on, "chat_template_kwargs": {"a": 1}}, Case(SWITCH)) == kwargs(on, a=1)
    assert mended({"thinking": on, "chat_template_kwargs": [1]}, Case(SWITCH)) == kwargs(on)


@pytest.mark.parametrize(("kind", "on"), [("enabled", True), ("disabled", False)])
def test_anthropics_flag_is_an_object(kind: str, on: bool) -> None:
    body = {"thinking": {"type": kind, "budget_tokens": 9}, "messages": []}
    assert mended(body, Case(SWITCH, "messages")) == {"messages": [], **kwargs(on)}


def test_whoever_sets_the_switch_is_heard_and_never_contradicted() -> None:
    body = {"thinking": True, "chat_template_kwargs": {"enable_thinking": False}}
    assert mended(body, Case(SWITCH)) == kwargs(False)
    body = {"thinking": True, "chat_template_kwargs": {"enable_thinking": None, "thinking": None}}
    assert mended(body, Case(SWITCH)) == kwargs(True)


@pytest.mark.parametrize("value", ["yes", 1, None, {}])
def test_a_flag_that_is_none_stays(value: Any) -> None:
    assert mended({"thinking": value}, Case(SWITCH)) == {"thinking": value}


@pytest.mark.parametrize(
    "body",
    [{"reasoning_effort": " HIGH "}, {"reasoningEffort": "max"}, {"reasoning": {"effort": "auto"}}],
)
@pytest.mark.parametrize("api", ["chat", "responses", "messages"])
def test_an_effort_switches_it_on(body: dict[str, Any], api: Api) -> None:
    assert mended(body, Case(SWITCH, api)) == kwargs(True)


def test_no_effort_switches_it_off_and_the_rest_of_reasoning_stays() -> None:
    body = {"reasoning": {"effort": "none", "summary": "auto"}}
    assert mended(body, Case(SWITCH)) == {"reasoning": {"summary": "auto"}, **kwargs(False)}


def test_an_effort_nobody_knows_is_taken_out() -> None:
    assert mended({"reasoning_effort": "banana"}, Case(SWITCH)) == {}


@pytest.mark.parametrize("value", ["", None, 3])
def test_an_effort_that_says_nothing_stays(value: Any) -> None:
    assert mended({"reasoning_effort": value}, Case(SWITCH)) == {"reasoning_effort": value}


def test_a_flag_counts_more_than_an_effort() -> None:
    assert mended({"thinking": False, "reasoning_effort": "high"}, Case(SWITCH)) == kwargs(False)


@pytest.mark.parametrize("given", [{}, {"chat_template_kwargs": None}, {"chat_template_kwargs": [1]}])
def test_a_quiet_model_thinks_only_when_asked(given: dict[str, Any]) -> None:
    assert mended(given, Case(QUIET)) == kwargs(False)
    assert mended({**given, "reasoning_effort": "low"}, Case(BOTH)) == kwargs(True)


def test_an_explicit_null_is_something_said() -> None:
    body = {"chat_template_kwargs": {"thinking": None}}
    assert mended(body, Case(QUIET)) == body


@pytest.mark.parametrize("api", ["completions", "other"])
def test_paths_that_are_no_conversation_get_no_switch(api: Api) -> None:
    assert mended({"thinking": True}, Case(BOTH, api)) == {"thinking": True}

"""Efforts on each model's own scale."""

from typing import Any

import pytest

from sparkd.catalog.rewriting import Effort
from sparkd.rewriting import RewriteContext
from sparkd.rewriting.parameters.efforts import find_nearest
from sparkd.rewriting.rewrite_context import Api
from tests.rewriting.examples import model, rewrite_to_dict

SCALE = model(efforts=("low", "medium", "high"))
OPEN = model(source="a/b")
APIS: list[Api] = ["chat", "responses", "messages"]


def effort(api: Api, word: Any) -> dict[str, Any]:
    if api == "chat":
        return {"reasoning_effort": word}
    return {"reasoning" if api == "responses" else "output_config": {"effort": word}}


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("none", "low"),
        ("minimal", "low"),
        ("low", "low"),
        (" Medium ", "medium"),
        ("high", "high"),
        ("xhigh", "high"),
        ("max", "high"),
        ("off", "low"),
    ],
)
def test_an_effort_becomes_the_nearest_that_the_model_knows(api: Api, given: str, sent: str) -> None:
    assert rewrite_to_dict(effort(api, given), RewriteContext(SCALE, api)) == effort(api, sent)


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("given", ["banana", "auto", "", None, 3, 0.5])
@pytest.mark.parametrize("entry", [SCALE, OPEN])
def test_one_without_a_meaning_is_left_out(api: Api, given: Any, entry: Any) -> None:
    assert rewrite_to_dict(effort(api, given), RewriteContext(entry, api)) == {}


@pytest.mark.parametrize("given", ["none", "minimal", "low", "medium", "high", "xhigh", "max"])
def test_without_a_scale_what_vllm_accepts_is_kept(given: str) -> None:
    for api in ("chat", "responses"):
        assert rewrite_to_dict(effort(api, given), RewriteContext(OPEN, api)) == effort(api, given)
    sent = "low" if given in ("none", "minimal") else given
    assert rewrite_to_dict(effort("messages", given), RewriteContext(OPEN, "messages")) == effort(
        "messages", sent
    )


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("name", ["reasoning_effort", "reasoningEffort"])
def test_another_apis_field_is_moved(api: Api, name: str) -> None:
    assert rewrite_to_dict({name: "max"}, RewriteContext(SCALE, api)) == effort(api, "high")


def test_what_is_beside_an_effort_stays() -> None:
    body = {"reasoning": {"effort": "max", "summary": "auto"}}
    assert rewrite_to_dict(body, RewriteContext(SCALE, "responses")) == {
        "reasoning": {"effort": "high", "summary": "auto"}
    }
    body = {"reasoning": {"effort": "banana", "summary": "auto"}}
    assert rewrite_to_dict(body, RewriteContext(SCALE, "responses")) == {"reasoning": {"summary": "auto"}}


@pytest.mark.parametrize(
    ("thinking", "sent"),
    [
        ({"type": "disabled"}, "low"),
        ({"type": "enabled", "budget_tokens": 0}, "low"),
        ({"type": "enabled", "budget_tokens": 4096}, "low"),
        ({"type": "enabled", "budget_tokens": 10_000}, "medium"),
        ({"type": "enabled", "budget_tokens": 32_000}, "high"),
        ({"type": "adaptive"}, None),
        ("on", None),
    ],
)
def test_anthropics_thinking_is_an_effort_too(thinking: Any, sent: str | None) -> None:
    expected = effort("messages", sent) if sent else {}
    assert rewrite_to_dict({"thinking": thinking}, RewriteContext(SCALE, "messages")) == expected


def test_a_scale_with_none_leaves_disabled_thinking_to_the_engine() -> None:
    body = {"thinking": {"type": "disabled"}}
    assert rewrite_to_dict(body, RewriteContext(model(efforts=("none", "high")), "messages")) == body


def test_an_unknown_engine_gets_what_the_client_sends() -> None:
    body = {"reasoning_effort": "banana"}
    assert rewrite_to_dict(body, RewriteContext(model(engine="command"))) == body


@pytest.mark.parametrize(
    ("scale", "word", "nearest"),
    [
        (("none", "high"), "minimal", "none"),
        (("none", "high"), "low", "high"),
        (("low", "high"), "medium", "high"),
        (("high",), "none", "high"),
    ],
)
def test_of_two_that_are_as_near_it_is_the_higher(
    scale: tuple[Effort, ...], word: Effort, nearest: Effort
) -> None:
    assert find_nearest(word, scale) == nearest


def test_a_switch_takes_efforts_of_every_api() -> None:
    switch = model(thinking_switch=True)
    for api in APIS:
        result = rewrite_to_dict(effort(api, "max"), RewriteContext(switch, api))
        assert result == {"chat_template_kwargs": {"enable_thinking": True, "thinking": True}}

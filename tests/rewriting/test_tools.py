"""Tools: taken out, or forced until there is a result."""

from typing import Any

import pytest

from sparkd.rewriting import RewriteContext
from sparkd.rewriting.rewrite_context import Api
from tests.rewriting.examples import model, rewrite_to_dict

STRIP = model(tools="strip")
REQUIRE = model(tools="require")
CHAT_CALL = {"function": {"name": "f", "arguments": "{}"}}
TOOLS = [{"type": "function", "function": {"name": "f"}}]


@pytest.mark.parametrize("api", ["chat", "responses", "messages"])
def test_everything_about_tools_is_taken_out(api: Api) -> None:
    body = {
        "tools": TOOLS,
        "tool_choice": None,
        "functions": [],
        "function_call": "auto",
        "parallel_tool_calls": True,
    }
    assert rewrite_to_dict({**body, "n": 1}, RewriteContext(STRIP, api)) == {"n": 1}


@pytest.mark.parametrize("choice", [{}, {"tool_choice": None}, {"tool_choice": ""}, {"tool_choice": "auto"}])
def test_a_model_that_may_choose_must(choice: dict[str, Any]) -> None:
    assert rewrite_to_dict({"tools": TOOLS, **choice}, RewriteContext(REQUIRE))["tool_choice"] == "required"


@pytest.mark.parametrize("choice", ["none", "required", {"type": "function", "function": {"name": "f"}}])
def test_a_client_that_has_chosen_is_heard(choice: Any) -> None:
    assert (
        rewrite_to_dict({"tools": TOOLS, "tool_choice": choice}, RewriteContext(REQUIRE))["tool_choice"]
        == choice
    )


@pytest.mark.parametrize("tools", [None, []])
def test_without_tools_nothing_is_forced(tools: Any) -> None:
    assert rewrite_to_dict({"tools": tools}, RewriteContext(REQUIRE)) == {}


@pytest.mark.parametrize(
    ("api", "turns"),
    [
        (
            "chat",
            {
                "messages": [
                    {"role": "assistant", "tool_calls": [CHAT_CALL]},
                    {"role": "tool", "content": "x"},
                ]
            },
        ),
        (
            "responses",
            {
                "input": [
                    {"type": "function_call", "name": "f"},
                    {"type": "function_call_output", "output": "x"},
                ]
            },
        ),
        (
            "messages",
            {
                "messages": [
                    {"role": "assistant", "content": [{"type": "tool_use", "name": "f"}]},
                    {"role": "user", "content": [{"type": "tool_result"}]},
                ]
            },
        ),
    ],
)
def test_once_a_tool_has_answered_the_model_is_free(api: Api, turns: dict[str, Any]) -> None:
    assert "tool_choice" not in rewrite_to_dict({"tools": TOOLS, **turns}, RewriteContext(REQUIRE, api))


def test_anthropics_clients_get_their_own_word_for_it() -> None:
    body = {"tools": [{"name": "f"}], "tool_choice": {"type": "auto"}}
    assert rewrite_to_dict(body, RewriteContext(REQUIRE, "messages"))["tool_choice"] == {"type": "any"}

"""Tools: taken out, or forced until there is a result."""

from typing import Any

import pytest

from sparkd.rewriting import Case
from sparkd.rewriting.case import Api
from tests.rewriting.subjects import mended, model

STRIP = model(tools="strip")
REQUIRE = model(tools="require")
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
    assert mended({**body, "n": 1}, Case(STRIP, api)) == {"n": 1}


@pytest.mark.parametrize("choice", [{}, {"tool_choice": None}, {"tool_choice": ""}, {"tool_choice": "auto"}])
def test_a_model_that_may_choose_must(choice: dict[str, Any]) -> None:
    assert mended({"tools": TOOLS, **choice}, Case(REQUIRE))["tool_choice"] == "required"


@pytest.mark.parametrize("choice", ["none", "required", {"type": "function", "function": {"name": "f"}}])
def test_a_client_that_has_chosen_is_heard(choice: Any) -> None:
    assert mended({"tools": TOOLS, "tool_choice": choice}, Case(REQUIRE))["tool_choice"] == choice


@pytest.mark.parametrize("tools", [None, [], "x"])
def test_without_tools_nothing_is_forced(tools: Any) -> None:
    assert mended({"tools": tools}, Case(REQUIRE)) == {"tools": tools}


@pytest.mark.parametrize(
    ("api", "turns"),
    [
        ("chat", {"messages": [{"role": "tool", "content": "x"}]}),
        ("responses", {"input": [{"type": "function_call_output", "output": "x"}]}),
        ("messages", {"messages": [{"role": "user", "content": [{"type": "tool_result"}]}]}),
    ],
)
def test_once_a_tool_has_answered_the_model_is_free(api: Api, turns: dict[str, Any]) -> None:
    assert "tool_choice" not in mended({"tools": TOOLS, **turns}, Case(REQUIRE, api))


def test_anthropics_clients_get_their_own_word_for_it() -> None:
    body = {"tools": [{"name": "f"}], "tool_choice": {"type": "auto"}}
    assert mended(body, Case(REQUIRE, "messages"))["tool_choice"] == {"type": "any"}

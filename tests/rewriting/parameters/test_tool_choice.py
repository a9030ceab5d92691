"""`tool_choice`, with and without tools, in the words of any API."""

from typing import Any

import pytest

from sparkd.rewriting import RewriteContext
from sparkd.rewriting.rewrite_context import Api
from tests.rewriting.examples import model, rewrite_to_dict
from tests.rewriting.parameters.test_tool_types import NATIVE

APIS: list[Api] = ["chat", "responses", "messages"]
NAMED: dict[Api, Any] = {
    "chat": {"type": "function", "function": {"name": "f"}},
    "responses": {"type": "function", "name": "f"},
    "messages": {"type": "tool", "name": "f"},
}


def mode(api: Api, word: str) -> Any:
    return {"type": "any" if word == "required" else word} if api == "messages" else word


def choose(api: Api, choice: Any) -> Any:
    body = {"tools": [NATIVE[api]], "tool_choice": choice}
    return rewrite_to_dict(body, RewriteContext(model(), api)).get("tool_choice", "left out")


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("tools", [{}, {"tools": []}, {"tools": None}])
@pytest.mark.parametrize(
    "choice", [{}, {"tool_choice": "auto"}, {"tool_choice": {"type": "auto"}}, {"tool_choice": None}]
)
@pytest.mark.parametrize("parallel", [{}, {"parallel_tool_calls": False}])
def test_without_tools_there_is_nothing_to_choose(
    api: Api, tools: dict[str, Any], choice: dict[str, Any], parallel: dict[str, Any]
) -> None:
    assert rewrite_to_dict({**tools, **choice, **parallel}, RewriteContext(model(), api)) == {}


@pytest.mark.parametrize("functions", [[], None])
def test_no_functions(functions: Any) -> None:
    body = {"functions": functions, "function_call": "auto"}
    assert rewrite_to_dict(body, RewriteContext(model())) == {}


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize(
    ("given", "word"),
    [
        ("auto", "auto"),
        ("none", "none"),
        ("required", "required"),
        ("any", "required"),
        ("AUTO", "auto"),
        ({"type": "auto"}, "auto"),
        ({"type": "any"}, "required"),
        ({"type": "none"}, "none"),
        ({"type": "web_search_preview"}, "auto"),
        ({"type": "function", "name": "gone"}, "auto"),
        ({"type": "function", "function": {"name": "gone"}}, "auto"),
        ({"type": "tool", "name": "gone"}, "auto"),
    ],
)
def test_a_choice_takes_the_apis_shape(api: Api, given: Any, word: str) -> None:
    assert choose(api, given) == mode(api, word)


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("given", NAMED.values())
def test_a_named_tool_too(api: Api, given: Any) -> None:
    assert choose(api, given) == NAMED[api]


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("given", [None, "", "perhaps", True, 5, []])
def test_a_choice_that_is_none_is_left_out(api: Api, given: Any) -> None:
    assert choose(api, given) == "left out"


def test_anthropics_option_stays() -> None:
    choice = {"type": "tool", "name": "gone", "disable_parallel_tool_use": True}
    assert choose("messages", choice) == {"type": "auto", "disable_parallel_tool_use": True}


@pytest.mark.parametrize("api", APIS)
def test_only_the_allowed_tools_are_sent(api: Api) -> None:
    other = {"type": "function", "name": "g", "parameters": {"type": "object", "properties": {}}}
    tools = [{"type": "function", "name": "f", "parameters": other["parameters"]}, other]
    choice = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "f"}]}
    result = rewrite_to_dict({"tools": tools, "tool_choice": choice}, RewriteContext(model(), api))
    assert result == {"tools": [NATIVE[api]], "tool_choice": mode(api, "required")}


def test_a_function_of_a_flattened_namespace_is_found_by_its_own_name() -> None:
    tools = [{"type": "namespace", "name": "files", "tools": [{"type": "function", "name": "read"}]}]
    body = {"tools": tools, "tool_choice": {"type": "function", "name": "read"}}
    result = rewrite_to_dict(body, RewriteContext(model(), "responses"))
    assert result["tool_choice"] == {"type": "function", "name": "files__read"}
    native = RewriteContext(model(tool_types=("namespace",)), "responses")
    assert rewrite_to_dict(body, native)["tool_choice"] == body["tool_choice"]

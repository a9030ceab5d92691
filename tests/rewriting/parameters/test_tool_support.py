"""Tools for a model whose engine cannot read tool calls."""

from typing import Any

import pytest

from sparkd.errors import ToolsNotSupported
from sparkd.rewriting import RewriteContext
from sparkd.rewriting.rewrite_context import Api
from tests.rewriting.examples import WITH_PARSERS, model, rewrite_to_dict
from tests.rewriting.parameters.test_tool_types import NATIVE

MUTE = model("mute", source="a/b", options={})
CALLER = model("caller", source="a/b")


@pytest.mark.parametrize("api", NATIVE)
@pytest.mark.parametrize("choice", ["auto", "required", None])
def test_they_are_rejected_with_the_names_of_models_that_call_tools(api: Api, choice: Any) -> None:
    context = RewriteContext(
        MUTE, api, alternatives=[MUTE, CALLER, model("strips", source="a/b", tools="strip")]
    )
    with pytest.raises(ToolsNotSupported) as rejected:
        rewrite_to_dict({"tools": [NATIVE[api]], "tool_choice": choice}, context)
    assert "These models do: caller." in rejected.value.message
    assert (rejected.value.status, rejected.value.code) == (400, "tools_not_supported")
    assert rejected.value.param == "tools"


@pytest.mark.parametrize("api", NATIVE)
def test_tools_that_must_not_be_called_pass(api: Api) -> None:
    choice = {"type": "none"} if api == "messages" else "none"
    body = {"tools": [NATIVE[api]], "tool_choice": choice}
    assert rewrite_to_dict(body, RewriteContext(MUTE, api)) == body


@pytest.mark.parametrize(
    "entry",
    [
        CALLER,
        model(source="a/b", options={"enable_auto_tool_choice": True, "tool_call_parser": "hermes"}),
        model(source="a/b", options={}, tools="pass"),
        model(source="a/b", options={}, engine="sglang"),
        model(options={}, engine="command"),
    ],
)
def test_engines_that_read_tool_calls_or_may_do_get_them(entry: Any) -> None:
    body = {"tools": [NATIVE["chat"]]}
    assert rewrite_to_dict(body, RewriteContext(entry)) == body


def test_the_owner_can_have_them_left_out() -> None:
    entry = model(source="a/b", options={}, tools="strip")
    assert rewrite_to_dict({"tools": [NATIVE["chat"]], "tool_choice": "auto"}, RewriteContext(entry)) == {}


def test_a_parser_alone_is_not_enough() -> None:
    options = {name: value for name, value in WITH_PARSERS.items() if name != "enable-auto-tool-choice"}
    with pytest.raises(ToolsNotSupported, match="No model here calls tools"):
        rewrite_to_dict({"tools": [NATIVE["chat"]]}, RewriteContext(model(source="a/b", options=options)))

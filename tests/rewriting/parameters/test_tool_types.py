"""Tools that only another vendor's servers run, and those that become functions."""

from typing import Any

import pytest

from sparkd.rewriting import RewriteContext
from sparkd.rewriting.rewrite_context import Api
from tests.rewriting.examples import model, rewrite_request, rewrite_to_dict

SCHEMA = {"type": "object", "properties": {}}
NATIVE: dict[Api, dict[str, Any]] = {
    "chat": {"type": "function", "function": {"name": "f", "parameters": SCHEMA}},
    "responses": {"type": "function", "name": "f", "parameters": SCHEMA},
    "messages": {"name": "f", "input_schema": SCHEMA},
}
FOREIGN: list[tuple[Api, dict[str, Any]]] = [
    ("messages", {"type": "web_search_20250305", "name": "web_search", "max_uses": 8}),
    ("messages", {"type": "web_fetch_20250910", "name": "web_fetch"}),
    ("messages", {"type": "code_execution_20250825", "name": "code_execution"}),
    ("messages", {"type": "computer_20250124", "name": "computer", "display_width_px": 1}),
    ("messages", {"type": "mcp_toolset", "mcp_server_name": "x"}),
    ("messages", {"type": "tool_search_tool_bm25_20251119", "name": "tool_search_tool_bm25"}),
    *(
        ("responses", {"type": kind, "name": "x"})
        for kind in (
            *("custom", "web_search", "web_search_preview", "image_generation", "local_shell", "file_search"),
            *("code_interpreter", "computer_use_preview", "mcp", "tool_search", "shell", "apply_patch"),
        )
    ),
    ("responses", {"type": "namespace", "name": "empty", "tools": []}),
    ("chat", {"type": "custom", "custom": {"name": "x"}}),
    ("chat", {"type": "web_search", "name": "x"}),
]


@pytest.mark.parametrize(("api", "tool"), FOREIGN)
def test_a_tool_of_another_vendors_servers_is_removed_and_the_others_stay(
    api: Api, tool: dict[str, Any]
) -> None:
    body = {"tools": [tool, NATIVE[api]]}
    assert rewrite_to_dict(body, RewriteContext(model(), api)) == {"tools": [NATIVE[api]]}
    assert rewrite_request(body, RewriteContext(model(), api)).rewrites == ("tool-types",)


@pytest.mark.parametrize(("api", "tool"), FOREIGN)
def test_if_none_is_left_so_is_the_choice(api: Api, tool: dict[str, Any]) -> None:
    choice = {"type": "tool", "name": "web_search"} if api == "messages" else "required"
    body = {"tools": [tool], "tool_choice": choice, "parallel_tool_calls": True}
    assert rewrite_to_dict(body, RewriteContext(model(), api)) == {}


@pytest.mark.parametrize("kind", ["bash_20250124", "text_editor_20250728", "memory_20250818"])
def test_a_tool_that_the_client_runs_gets_its_published_schema(kind: str) -> None:
    body = {"tools": [{"type": kind, "name": "its_name"}]}
    (tool,) = rewrite_to_dict(body, RewriteContext(model(), "messages"))["tools"]
    assert tool["name"] == "its_name"
    assert "command" in tool["input_schema"]["properties"]


@pytest.mark.parametrize(
    ("kind", "field", "undoes"),
    [
        ("text_editor_20241022", "new_str", True),
        ("text_editor_20250124", "new_str", True),
        ("text_editor_20250429", "insert_text", False),
        ("text_editor_20250728", "insert_text", False),
    ],
)
def test_the_versions_of_the_text_editor_differ(kind: str, field: str, undoes: bool) -> None:
    body = {"tools": [{"type": kind, "name": "editor"}]}
    (tool,) = rewrite_to_dict(body, RewriteContext(model(), "messages"))["tools"]
    properties = tool["input_schema"]["properties"]
    assert ("insert_text" in properties) == (field == "insert_text")
    assert ("undo_edit" in properties["command"]["enum"]) == undoes
    assert f"insert puts {field}" in tool["description"]


@pytest.mark.parametrize("name", ["mcp__files", "mcp__files__"])
def test_a_namespace_becomes_functions(name: str) -> None:
    read = {"type": "function", "name": "read", "description": "Reads", "parameters": SCHEMA}
    body = {"tools": [{"type": "namespace", "name": name, "description": "d", "tools": [read]}]}
    assert rewrite_to_dict(body, RewriteContext(model(), "responses"))["tools"] == [
        {**read, "name": "mcp__files__read"}
    ]


def test_what_the_engine_serves_itself_stays() -> None:
    context = RewriteContext(model(tool_types=("namespace", "custom")), "responses")
    custom = {"type": "custom", "name": "c"}
    grammar = {**custom, "format": {"type": "grammar", "syntax": "lark", "definition": "x"}}
    namespace = {"type": "namespace", "name": "n", "tools": []}
    assert rewrite_to_dict({"tools": [custom, grammar, namespace]}, context)["tools"] == [
        custom,
        {**namespace, "description": ""},
    ]


@pytest.mark.parametrize("api", NATIVE)
@pytest.mark.parametrize("given", NATIVE.values())
def test_a_function_in_another_apis_shape_takes_this_ones(api: Api, given: dict[str, Any]) -> None:
    result = rewrite_to_dict({"tools": [given]}, RewriteContext(model(), api))
    assert result["tools"] == [NATIVE[api]]


@pytest.mark.parametrize("api", NATIVE)
def test_without_a_search_no_tool_waits_to_be_found(api: Api) -> None:
    search = {"type": "tool_search" if api == "responses" else "tool_search_tool_regex_20251119", "name": "s"}
    deferred = {**NATIVE[api], "defer_loading": True}
    result = rewrite_to_dict({"tools": [search, deferred]}, RewriteContext(model(), api))
    assert result["tools"] == [NATIVE[api]]
    kept = rewrite_to_dict({"tools": [deferred]}, RewriteContext(model(), api))
    assert kept["tools"] == [deferred]


def test_anthropics_custom_tools_are_the_clients() -> None:
    body = {"tools": [{"type": "custom", **NATIVE["messages"], "cache_control": {"type": "ephemeral"}}]}
    assert rewrite_to_dict(body, RewriteContext(model(), "messages")) == body

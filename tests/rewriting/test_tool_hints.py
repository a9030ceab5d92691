"""Hints for models that write lists as strings and call tools when greeted."""

from typing import Any

import pytest

from sparkd.rewriting import RewriteContext
from sparkd.rewriting.tool_hints import INSTRUCTION_TEXT, QUESTION_HINT, RAW_JSON_HINT
from tests.rewriting.examples import model, rewrite_to_dict

LLAMA = RewriteContext(model(tool_hints=True, repair_history=False))


def hint_schema(schema: Any) -> Any:
    body = {"messages": [], "tools": [{"type": "function", "function": {"name": "f", "parameters": schema}}]}
    return rewrite_to_dict(body, LLAMA)["tools"][0]["function"]["parameters"]


def test_the_instruction_is_a_system_message_of_its_own_or_ends_the_last_one() -> None:
    assert rewrite_to_dict({"messages": []}, LLAMA)["messages"] == [
        {"role": "system", "content": INSTRUCTION_TEXT}
    ]
    result = rewrite_to_dict({"messages": [{"role": "system", "content": "Be kind."}]}, LLAMA)["messages"]
    assert result == [{"role": "system", "content": f"Be kind.\n\n{INSTRUCTION_TEXT}"}]
    result = rewrite_to_dict(
        {"messages": [{"role": "system", "content": [{"type": "text", "text": "a"}]}]}, LLAMA
    )
    assert result["messages"][0]["content"][1] == {"type": "text", "text": INSTRUCTION_TEXT}


def test_with_strict_turns_the_instruction_stands_in_the_first_user_message_once() -> None:
    context = RewriteContext(model(tool_hints=True, alternate_roles=True))
    once = rewrite_to_dict({"messages": [{"role": "user", "content": "Hello"}]}, context)
    assert once["messages"] == [
        {"role": "user", "content": f"[System Instruction]\n{INSTRUCTION_TEXT}\n\nHello"}
    ]
    assert rewrite_to_dict(once, context) == once


def test_lists_and_objects_are_hinted_at_with_or_without_a_description() -> None:
    schema = {
        "properties": {
            "a": {"type": "array", "description": "Names"},
            "b": {"type": "object"},
            "c": {"type": "string"},
        }
    }
    assert hint_schema(schema)["properties"] == {
        "a": {"type": "array", "description": f"Names ({RAW_JSON_HINT})"},
        "b": {"type": "object", "description": RAW_JSON_HINT},
        "c": {"type": "string"},
    }


@pytest.mark.parametrize("key", ["anyOf", "oneOf", "allOf", "prefixItems"])
def test_alternatives_are_walked(key: str) -> None:
    assert hint_schema({key: [{"type": "array"}, {"type": "null"}]})[key] == [
        {"type": "array", "description": RAW_JSON_HINT},
        {"type": "null"},
    ]


@pytest.mark.parametrize("key", ["$defs", "definitions", "properties", "patternProperties"])
def test_named_schemas_are_walked(key: str) -> None:
    assert hint_schema({key: {"type": {"type": "array"}}})[key]["type"] == {
        "type": "array",
        "description": RAW_JSON_HINT,
    }


@pytest.mark.parametrize("key", ["items", "additionalProperties"])
def test_schemas_of_members_are_walked(key: str) -> None:
    assert hint_schema({key: {"type": "object"}})[key]["description"] == RAW_JSON_HINT
    assert hint_schema({key: True})[key] is True


def test_items_and_types_may_be_lists() -> None:
    assert hint_schema({"items": [{"type": "array"}]})["items"][0]["description"] == RAW_JSON_HINT
    assert (
        hint_schema({"properties": {"a": {"type": ["array", "null"]}}})["properties"]["a"]["description"]
        == RAW_JSON_HINT
    )


def test_a_hint_is_given_once() -> None:
    once = hint_schema({"properties": {"a": {"type": "array", "description": "Names"}}})
    assert hint_schema(once) == once


def test_a_question_tool_without_a_description_gets_one_that_makes_sense() -> None:
    tool = {"type": "function", "function": {"name": "question"}}
    result = rewrite_to_dict({"messages": [], "tools": [tool]}, LLAMA)["tools"][0]["function"]
    assert result["description"] == QUESTION_HINT


@pytest.mark.parametrize("tools", [3, "x"])
def test_odd_tools_pass(tools: Any) -> None:
    assert rewrite_to_dict({"messages": [], "tools": tools}, LLAMA)["tools"] == tools

"""Hints for models that write lists as strings and call tools when greeted."""

from typing import Any

import pytest

from sparkd.rewriting import Case
from sparkd.rewriting.hints import HINT, INSTRUCTION, QUESTION
from tests.rewriting.subjects import mended, model

LLAMA = Case(model(tool_hints=True))


def hinted(schema: Any) -> Any:
    body = {"messages": [], "tools": [{"type": "function", "function": {"name": "f", "parameters": schema}}]}
    return mended(body, LLAMA)["tools"][0]["function"]["parameters"]


def test_the_instruction_is_a_system_message_of_its_own_or_ends_the_last_one() -> None:
    assert mended({"messages": []}, LLAMA)["messages"] == [{"role": "system", "content": INSTRUCTION}]
    result = mended({"messages": [{"role": "system", "content": "Be kind."}]}, LLAMA)["messages"]
    assert result == [{"role": "system", "content": f"Be kind.\n\n{INSTRUCTION}"}]
    result = mended({"messages": [{"role": "system", "content": [{"type": "text", "text": "a"}]}]}, LLAMA)
    assert result["messages"][0]["content"][1] == {"type": "text", "text": INSTRUCTION}


def test_with_strict_turns_the_instruction_stands_in_the_first_user_message_once() -> None:
    case = Case(model(tool_hints=True, alternate_roles=True))
    once = mended({"messages": [{"role": "user", "content": "Hello"}]}, case)
    assert once["messages"] == [{"role": "user", "content": f"[System Instruction]\n{INSTRUCTION}\n\nHello"}]
    assert mended(once, case) == once


def test_lists_and_objects_are_hinted_at_with_or_without_a_description() -> None:
    schema = {
        "properties": {
            "a": {"type": "array", "description": "Names"},
            "b": {"type": "object"},
            "c": {"type": "string"},
        }
    }
    assert hinted(schema)["properties"] == {
        "a": {"type": "array", "description": f"Names ({HINT})"},
        "b": {"type": "object", "description": HINT},
        "c": {"type": "string"},
    }


@pytest.mark.parametrize("key", ["anyOf", "oneOf", "allOf", "prefixItems"])
def test_alternatives_are_walked(key: str) -> None:
    assert hinted({key: [{"type": "array"}, {"type": "null"}]})[key] == [
        {"type": "array", "description": HINT},
        {"type": "null"},
    ]


@pytest.mark.parametrize("key", ["$defs", "definitions", "properties", "patternProperties"])
def test_named_schemas_are_walked(key: str) -> None:
    assert hinted({key: {"type": {"type": "array"}}})[key]["type"] == {"type": "array", "description": HINT}


@pytest.mark.parametrize("key", ["items", "additionalProperties"])
def test_schemas_of_members_are_walked(key: str) -> None:
    assert hinted({key: {"type": "object"}})[key]["description"] == HINT
    assert hinted({key: True})[key] is True


def test_items_and_types_may_be_lists() -> None:
    assert hinted({"items": [{"type": "array"}]})["items"][0]["description"] == HINT
    assert (
        hinted({"properties": {"a": {"type": ["array", "null"]}}})["properties"]["a"]["description"] == HINT
    )


def test_a_hint_is_given_once() -> None:
    once = hinted({"properties": {"a": {"type": "array", "description": "Names"}}})
    assert hinted(once) == once


def test_a_question_tool_without_a_description_gets_one_that_makes_sense() -> None:
    tool = {"type": "function", "function": {"name": "question"}}
    result = mended({"messages": [], "tools": [tool]}, LLAMA)["tools"][0]["function"]
    assert result["description"] == QUESTION


@pytest.mark.parametrize(
    "tools", [None, 3, "x", [None], [{"function": None}], [{"function": {"parameters": 3}}]]
)
def test_odd_tools_pass(tools: Any) -> None:
    assert mended({"messages": [], "tools": tools}, LLAMA)["tools"] == tools

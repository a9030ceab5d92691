"""Tools taken from a model that cannot use them, and forced on one that forgets them."""

from __future__ import annotations

import msgspec

from sparkd.rewriting.body import JsonBody
from sparkd.rewriting.case import Case
from sparkd.rewriting.decoding import fields_of, items_of, text_of, value_of

TOOL_FIELDS = ("tool_choice", "tools", "functions", "function_call", "parallel_tool_calls")


def strip_tools(_: Case, body: JsonBody) -> JsonBody:
    """Take out everything about tools."""
    return body.without(TOOL_FIELDS)


def require_tool(case: Case, body: JsonBody) -> JsonBody:
    """Make the model call a tool where it may choose, as long as no tool has answered yet."""
    choice = body.fields.get("tool_choice")
    if not items_of(body.fields.get("tools")) or not _is_open(choice and value_of(choice)):
        return body
    if any(_is_result(case, turn) for turn in items_of(body.fields.get(_turns(case))) or ()):
        return body
    return body.with_field("tool_choice", {"type": "any"} if case.api == "messages" else "required")


def _is_open(choice: object) -> bool:
    return choice in (None, "", "auto", False, 0) or (
        isinstance(choice, dict) and choice.get("type") == "auto"
    )


def _turns(case: Case) -> str:
    return "input" if case.api == "responses" else "messages"


def _is_result(case: Case, turn: msgspec.Raw) -> bool:
    fields = fields_of(turn) or {}
    if case.api == "responses":
        return text_of(fields.get("type")) == "function_call_output"
    if case.api == "messages":
        blocks = items_of(fields.get("content")) or ()
        return any(text_of((fields_of(block) or {}).get("type")) == "tool_result" for block in blocks)
    return text_of(fields.get("role")) == "tool"

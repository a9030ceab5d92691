"""Removes tools for a model that cannot use them, and requires them for one that forgets to."""

from __future__ import annotations

import msgspec

from sparkd.rewriting.body import JsonBody
from sparkd.rewriting.decoding import decode_array, decode_object, decode_string, decode_value, read_type
from sparkd.rewriting.history.conversation import turns_field
from sparkd.rewriting.rewrite_context import RewriteContext

TOOL_FIELDS = ("tool_choice", "tools", "functions", "function_call", "parallel_tool_calls")


def strip_tools(_: RewriteContext, body: JsonBody) -> JsonBody:
    """Remove all fields about tools."""
    return body.without(TOOL_FIELDS)


def require_tool(context: RewriteContext, body: JsonBody) -> JsonBody:
    """Require a tool call if the model may choose, until a tool has returned a result."""
    choice = body.fields.get("tool_choice")
    if not decode_array(body.fields.get("tools")) or not _may_choose(choice and decode_value(choice)):
        return body
    if any(
        _is_tool_result(context, turn)
        for turn in decode_array(body.fields.get(turns_field(context.api))) or ()
    ):
        return body
    return body.with_field("tool_choice", {"type": "any"} if context.api == "messages" else "required")


def _may_choose(choice: object) -> bool:
    return choice in (None, "", "auto", False, 0) or (
        isinstance(choice, dict) and choice.get("type") == "auto"
    )


def _is_tool_result(context: RewriteContext, turn: msgspec.Raw) -> bool:
    fields = decode_object(turn) or {}
    if context.api == "responses":
        return decode_string(fields.get("type")) == "function_call_output"
    if context.api == "messages":
        blocks = decode_array(fields.get("content")) or ()
        return any(read_type(block) == "tool_result" for block in blocks)
    return decode_string(fields.get("role")) == "tool"

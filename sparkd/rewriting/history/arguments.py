"""Arguments of old tool calls that do not parse: cut off, empty, or of another type.

An engine or a chat template that parses them would reject the whole conversation, at every later turn.
"""

from __future__ import annotations

import msgspec

from sparkd.rewriting.body import JsonBody
from sparkd.rewriting.decoding import Fields, decode_array, decode_object, decode_string, encode_raw
from sparkd.rewriting.history.conversation import FixTurn, NewTurn, fix_turns, read_kind
from sparkd.rewriting.history.json_repair import repair_object
from sparkd.rewriting.history.usual_turns import is_object_text
from sparkd.rewriting.rewrite_context import Api, RewriteContext


def repair_arguments(context: RewriteContext, body: JsonBody) -> JsonBody:
    """Make the arguments of every old tool call a JSON object: what can be saved of them, or `{}`."""
    return fix_turns(context, body, _FIXES[context.api])


def _fix_message(_: RewriteContext, turn: Fields) -> list[NewTurn] | None:
    calls = decode_array(turn.get("tool_calls")) or []
    fixed = [_fix_call(call) for call in calls]
    if all(new is old for new, old in zip(fixed, calls, strict=True)):
        return None
    return [{**turn, "tool_calls": encode_raw(fixed)}]


def _fix_call(call: msgspec.Raw) -> msgspec.Raw:
    fields = decode_object(call) or {}
    function = decode_object(fields.get("function"))
    if function is None:
        return call
    fixed = _fix_function(fields["function"], function)
    return call if fixed is fields["function"] else encode_raw({**fields, "function": fixed})


def _fix_function(raw: msgspec.Raw, function: Fields) -> msgspec.Raw:
    arguments = function.get("arguments")
    if _is_object_text(arguments):
        return raw
    return encode_raw({**function, "arguments": bytes(_read_object(arguments)).decode()})


def _fix_item(_: RewriteContext, turn: Fields) -> list[NewTurn] | None:
    if decode_string(turn.get("type")) != "function_call" or _is_object_text(turn.get("arguments")):
        return None
    return [{**turn, "arguments": encode_raw(bytes(_read_object(turn.get("arguments"))).decode())}]


def _fix_tool_uses(_: RewriteContext, turn: Fields) -> list[NewTurn] | None:
    blocks = decode_array(turn.get("content")) or []
    fixed = [_fix_tool_use(block) for block in blocks]
    if all(new is old for new, old in zip(fixed, blocks, strict=True)):
        return None
    return [{**turn, "content": encode_raw(fixed)}]


def _fix_tool_use(block: msgspec.Raw) -> msgspec.Raw:
    fields = decode_object(block) or {}
    if decode_string(fields.get("type")) != "tool_use" or read_kind(fields.get("input")) == "{":
        return block
    return encode_raw({**fields, "input": _read_object(fields.get("input"))})


_FIXES: dict[Api, FixTurn] = {"chat": _fix_message, "messages": _fix_tool_uses, "responses": _fix_item}


def _is_object_text(value: msgspec.Raw | None) -> bool:
    return is_object_text(decode_string(value))


def _read_object(value: msgspec.Raw | None) -> msgspec.Raw:
    """The object that a value is, or that its text holds."""
    if value is not None and read_kind(value) == "{":
        return value
    text = decode_string(value)
    if text is None:
        return encode_raw({})
    inner = _decode_text(text)
    if isinstance(inner, str):  # JSON in JSON in a string
        text = inner
    return msgspec.Raw(repair_object(text).encode())


def _decode_text(text: str) -> object:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None

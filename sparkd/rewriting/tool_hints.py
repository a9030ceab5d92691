"""Hints for models that write lists and objects as strings, or call tools in reply to a greeting."""

from __future__ import annotations

import msgspec

from sparkd.rewriting.body import JsonBody
from sparkd.rewriting.decoding import Fields, decode_array, decode_object, decode_string, encode_raw
from sparkd.rewriting.history.conversation import SYSTEM_ROLES
from sparkd.rewriting.rewrite_context import RewriteContext
from sparkd.rewriting.roles import read_role
from sparkd.rewriting.text import read_text_part

INSTRUCTION_TEXT = (
    "When you call a tool:\n"
    '1. Write every argument that is a list or an object as plain JSON, such as [1, 2] or {"a": 1}, and never as a '
    "string that contains JSON.\n"
    "2. A greeting or small talk needs no tool: answer it in words."
)
RAW_JSON_HINT = "Provide as raw JSON, NOT a string"
QUESTION_HINT = (
    "Ask this only when you cannot go on without the answer; never in reply to a greeting or small talk."
)

MAX_DEPTH = 64
"""Levels of a schema that are searched."""

_SCHEMA_KEYS = ("items", "additionalProperties", "not", "if", "then", "else", "contains")
_SCHEMA_LIST_KEYS = ("anyOf", "oneOf", "allOf", "prefixItems", "items")
_SCHEMA_MAP_KEYS = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")


def add_tool_hints(_: RewriteContext, body: JsonBody) -> JsonBody:
    """Add the instruction to the system message, and a hint to the schema of every tool."""
    messages = decode_array(body.fields.get("messages"))
    if messages is None:
        return body
    tools = decode_array(body.fields.get("tools"))
    if tools:
        body = body.with_field("tools", [_hint_tool(tool) for tool in tools])
    return body.with_field("messages", _add_instruction(messages))


def _add_instruction(messages: list[msgspec.Raw]) -> list[msgspec.Raw]:
    last = None
    for index, message in enumerate(messages):
        is_system = read_role(message) in SYSTEM_ROLES
        if (is_system or index == 0) and _contains_text(message, INSTRUCTION_TEXT):
            return messages
        last = index if is_system else last
    if last is None:
        return [encode_raw({"role": "system", "content": INSTRUCTION_TEXT}), *messages]
    return [*messages[:last], _append_instruction(messages[last]), *messages[last + 1 :]]


def _contains_text(message: msgspec.Raw, phrase: str) -> bool:
    content = (decode_object(message) or {}).get("content")
    texts = [decode_string(content), *(read_text_part(part) for part in decode_array(content) or ())]
    return any(phrase in text for text in texts if text)


def _append_instruction(message: msgspec.Raw) -> msgspec.Raw:
    fields = decode_object(message) or {}
    content = fields.get("content")
    parts = decode_array(content)
    if parts is not None:
        return encode_raw({**fields, "content": [*parts, {"type": "text", "text": INSTRUCTION_TEXT}]})
    text = decode_string(content)
    return encode_raw({**fields, "content": f"{text}\n\n{INSTRUCTION_TEXT}" if text else INSTRUCTION_TEXT})


def _hint_tool(tool: msgspec.Raw) -> msgspec.Raw:
    fields = decode_object(tool)
    function = decode_object(fields.get("function")) if fields else None
    if not fields or function is None:
        return tool
    if "parameters" in function:
        function = {**function, "parameters": _hint_schema(function["parameters"], MAX_DEPTH)}
    if decode_string(function.get("name")) == "question":
        function = _add_description(function, f" {QUESTION_HINT}", QUESTION_HINT)
    return encode_raw({**fields, "function": function})


def _hint_schema(schema: msgspec.Raw, depth: int) -> msgspec.Raw:
    fields = decode_object(schema)
    if not fields or not depth:
        return schema
    for name in _SCHEMA_KEYS:
        if name in fields:
            fields[name] = _hint_schema(fields[name], depth - 1)
    for name in _SCHEMA_LIST_KEYS:
        listed = decode_array(fields.get(name))
        if listed:
            fields[name] = encode_raw([_hint_schema(item, depth - 1) for item in listed])
    for name in _SCHEMA_MAP_KEYS:
        named = decode_object(fields.get(name))
        if named:
            fields[name] = encode_raw({key: _hint_schema(value, depth - 1) for key, value in named.items()})
    if not {"array", "object"}.isdisjoint(_list_types(fields.get("type"))):
        fields = _add_description(fields, f" ({RAW_JSON_HINT})", RAW_JSON_HINT)
    return encode_raw(fields)


def _list_types(given: msgspec.Raw | None) -> list[str | None]:
    return [decode_string(given), *map(decode_string, decode_array(given) or ())]


def _add_description(fields: Fields, suffix: str, hint: str) -> Fields:
    """The same fields with the hint at the end of the description, unless it is already there."""
    text = decode_string(fields.get("description"))
    if text and text.endswith((suffix, hint)):
        return fields
    return {**fields, "description": encode_raw(text + suffix if text else hint)}

"""Hints for models that write lists and objects as strings, and call tools when they are greeted."""

from __future__ import annotations

import msgspec

from sparkd.rewriting.body import JsonBody
from sparkd.rewriting.case import Case
from sparkd.rewriting.decoding import Fields, fields_of, items_of, raw, text_of
from sparkd.rewriting.roles import SYSTEM, role_of
from sparkd.rewriting.text import text_in

INSTRUCTION = (
    "When you call a tool:\n"
    '1. Write every argument that is a list or an object as plain JSON, such as [1, 2] or {"a": 1}, and never as a '
    "string that contains JSON.\n"
    "2. A greeting or small talk needs no tool: answer it in words."
)
HINT = "Provide as raw JSON, NOT a string"
QUESTION = (
    "Ask this only when you cannot go on without the answer; never in reply to a greeting or small talk."
)

DEEPEST = 64
"""Levels of a schema that are looked at."""

_ONE = ("items", "additionalProperties", "not", "if", "then", "else", "contains")
_LISTED = ("anyOf", "oneOf", "allOf", "prefixItems", "items")
_NAMED = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")


def tool_hints(_: Case, body: JsonBody) -> JsonBody:
    """Say it in the system's words, and in the schema of every tool."""
    messages = items_of(body.fields.get("messages"))
    if messages is None:
        return body
    tools = items_of(body.fields.get("tools"))
    if tools:
        body = body.with_field("tools", [_tool(tool) for tool in tools])
    return body.with_field("messages", _instructed(messages))


def _instructed(messages: list[msgspec.Raw]) -> list[msgspec.Raw]:
    last = None
    for place, message in enumerate(messages):
        is_system = role_of(message) in SYSTEM
        if (is_system or place == 0) and _says(message, INSTRUCTION):
            return messages
        last = place if is_system else last
    if last is None:
        return [raw({"role": "system", "content": INSTRUCTION}), *messages]
    return [*messages[:last], _longer(messages[last]), *messages[last + 1 :]]


def _says(message: msgspec.Raw, words: str) -> bool:
    content = (fields_of(message) or {}).get("content")
    texts = [text_of(content), *(text_in(part) for part in items_of(content) or ())]
    return any(words in text for text in texts if text)


def _longer(message: msgspec.Raw) -> msgspec.Raw:
    fields = fields_of(message) or {}
    content = fields.get("content")
    parts = items_of(content)
    if parts is not None:
        return raw({**fields, "content": [*parts, {"type": "text", "text": INSTRUCTION}]})
    text = text_of(content)
    return raw({**fields, "content": f"{text}\n\n{INSTRUCTION}" if text else INSTRUCTION})


def _tool(tool: msgspec.Raw) -> msgspec.Raw:
    fields = fields_of(tool)
    function = fields_of(fields.get("function")) if fields else None
    if not fields or function is None:
        return tool
    if "parameters" in function:
        function = {**function, "parameters": _schema(function["parameters"], DEEPEST)}
    if text_of(function.get("name")) == "question":
        function = _described(function, f" {QUESTION}", QUESTION)
    return raw({**fields, "function": function})


def _schema(schema: msgspec.Raw, depth: int) -> msgspec.Raw:
    fields = fields_of(schema)
    if not fields or not depth:
        return schema
    for name in _ONE:
        if name in fields:
            fields[name] = _schema(fields[name], depth - 1)
    for name in _LISTED:
        listed = items_of(fields.get(name))
        if listed:
            fields[name] = raw([_schema(item, depth - 1) for item in listed])
    for name in _NAMED:
        named = fields_of(fields.get(name))
        if named:
            fields[name] = raw({key: _schema(value, depth - 1) for key, value in named.items()})
    if not {"array", "object"}.isdisjoint(_types(fields.get("type"))):
        fields = _described(fields, f" ({HINT})", HINT)
    return raw(fields)


def _types(given: msgspec.Raw | None) -> list[str | None]:
    return [text_of(given), *map(text_of, items_of(given) or ())]


def _described(fields: Fields, more: str, alone: str) -> Fields:
    """The same fields with a description that ends in the hint; said already, it is not said again."""
    text = text_of(fields.get("description"))
    if text and text.endswith((more, alone)):
        return fields
    return {**fields, "description": raw(text + more if text else alone)}

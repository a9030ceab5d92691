"""Tools in the shape of each API, and what is common to them: a name, a description and a schema.

Chat nests the function inside the tool, /v1/responses does not, /v1/messages calls its schema `input_schema`. Some
clients send one API's tools to another.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from sparkd.rewriting.body import JsonBody
from sparkd.rewriting.decoding import Fields, decode_array, decode_object, decode_string, encode_raw
from sparkd.rewriting.rewrite_context import Api

EMPTY_SCHEMA = encode_raw({"type": "object", "properties": {}})
"""The schema of a function without parameters."""

_FUNCTION_KEYS = ("name", "description", "strict")


def list_tools(body: JsonBody) -> list[msgspec.Raw]:
    """The tools of a request; empty if there are none."""
    return decode_array(body.fields.get("tools")) or []


def encode_tools(body: JsonBody) -> bytes:
    """The tools of a request as JSON: the same object for all rules, so that its hash is computed once."""
    return body.derive("tools", bytes) or b""


def read_tool_type(tool: Fields) -> str:
    """The type of a tool: "function" for one that the client runs by its schema, also if it has no type."""
    kind = decode_string(tool.get("type"))
    if kind in (None, "", "function") or (kind == "custom" and "input_schema" in tool):
        return "function"
    return kind or "function"


def read_tool_name(tool: msgspec.Raw) -> str | None:
    """The name of a tool in any shape."""
    fields = decode_object(tool) or {}
    inner = decode_object(fields.get("function")) or decode_object(fields.get("custom")) or fields
    return decode_string(inner.get("name"))


def convert_tool(api: Api, tool: msgspec.Raw) -> msgspec.Raw:
    """A function in the API's own shape; the same object if it has it, or has no shape that is known."""
    fields = decode_object(tool)
    if fields is None or read_tool_type(fields) != "function":
        return tool
    function = decode_object(fields.get("function"))
    if function is None and decode_string(fields.get("name")) is None:
        return tool
    if api == "chat":
        return tool if function is not None else encode_raw(_nest(fields))
    if api == "responses":
        return tool if function is None and "input_schema" not in fields else encode_raw(_flatten(fields))
    return tool if function is None and "parameters" not in fields else encode_raw(_rename_schema(fields))


def _nest(fields: Fields) -> dict[str, object]:
    flat = _flatten(fields)
    flat.pop("type")
    return {"type": "function", "function": flat}


def _flatten(fields: Fields) -> dict[str, object]:
    inner = decode_object(fields.get("function")) or fields
    schema = inner.get("parameters", inner.get("input_schema"))
    flat: dict[str, object] = {"type": "function"}
    flat |= {key: inner[key] for key in _FUNCTION_KEYS if key in inner}
    return flat if schema is None else {**flat, "parameters": schema}


def _rename_schema(fields: Fields) -> dict[str, object]:
    flat = _flatten(fields)
    schema = flat.pop("parameters", EMPTY_SCHEMA)
    flat.pop("type")
    return {**flat, "input_schema": schema}


def encode_changed(old: Sequence[msgspec.Raw], new: Sequence[msgspec.Raw]) -> msgspec.Raw | None:
    """The new tools as JSON; None if they are the same objects as the old ones."""
    same = len(old) == len(new) and all(first is second for first, second in zip(old, new, strict=True))
    return None if same else encode_raw(list(new))


def with_tools(body: JsonBody, tools: msgspec.Raw | None) -> JsonBody:
    """A body with other tools; the same object for None."""
    return body if tools is None else body.with_field("tools", tools)

"""Schemas of tools that are missing or incomplete: chat templates read their type and their properties."""

from __future__ import annotations

import msgspec

from sparkd.rewriting.body import JsonBody
from sparkd.rewriting.decoding import (
    Fields,
    decode_array,
    decode_object,
    decode_string,
    encode_raw,
    is_null,
)
from sparkd.rewriting.history.contents import render_text
from sparkd.rewriting.history.conversation import read_kind
from sparkd.rewriting.parameters.tool_shapes import (
    EMPTY_SCHEMA,
    encode_changed,
    encode_tools,
    read_tool_type,
    with_tools,
)
from sparkd.rewriting.remembering import remember
from sparkd.rewriting.rewrite_context import RewriteContext

_KINDS = {"description": '"', "strict": 'tf"', "defer_loading": "tf", "output_schema": "{"}
"""With which character a value of the right type begins."""

_OTHER_SCHEMAS = ("$ref", "anyOf", "oneOf", "allOf")
"""Keys of schemas that do without a type."""


def complete_schemas(context: RewriteContext, body: JsonBody) -> JsonBody:
    """Complete the schema of each function."""
    key = "input_schema" if context.api == "messages" else "parameters"
    return with_tools(body, _complete_tools(encode_tools(body), key))


@remember
def _complete_tools(data: bytes, key: str) -> msgspec.Raw | None:
    """The tools with complete schemas; None if they are complete."""
    tools = decode_array(msgspec.Raw(data)) if data else None
    return encode_changed(tools, [_complete_tool(tool, key) for tool in tools]) if tools else None


def _complete_tool(tool: msgspec.Raw, key: str) -> msgspec.Raw:
    fields = decode_object(tool)
    if fields is None or read_tool_type(fields) != "function":
        return tool
    function = decode_object(fields.get("function")) if key == "parameters" else None
    owner = fields if function is None else function
    if "name" not in owner:
        return tool
    new = {**_without_wrong(owner), key: _complete_schema(owner.get(key))}
    if new.keys() == owner.keys() and all(new[name] is owner[name] for name in new):
        return tool
    return encode_raw(new if function is None else {**fields, "function": new})


def _without_wrong(owner: Fields) -> Fields:
    """A function without members of a type that engines reject. A description that is not a text becomes one."""
    wrong = [
        name
        for name, kinds in _KINDS.items()
        if read_kind(owner.get(name)) not in kinds and not is_null(owner.get(name))
    ]
    if "allowed_callers" in owner:
        wrong.append("allowed_callers")  # for the programs that another vendor's server runs
    if not wrong:
        return owner
    rest = {name: value for name, value in owner.items() if name not in wrong}
    if "description" in wrong:
        rest["description"] = encode_raw(render_text(owner["description"]))
    return rest


def _complete_schema(schema: msgspec.Raw | None) -> msgspec.Raw:
    """An object's schema with its type and its properties; the same object if it has them."""
    fields = None if schema is None else decode_object(schema)
    if schema is not None and fields is None and (text := decode_string(schema)) is not None:
        schema = _read_schema(text)  # JSON in a string
        fields = decode_object(schema)
    if schema is None or fields is None:
        return EMPTY_SCHEMA
    missing: Fields = {}
    if is_null(fields.get("type")) and not any(name in fields for name in _OTHER_SCHEMAS):
        missing["type"] = encode_raw("object")
    has_type = bytes(missing.get("type") or fields.get("type") or b"").strip() == b'"object"'
    if has_type and is_null(fields.get("properties")):
        missing["properties"] = encode_raw({})
    return encode_raw({**fields, **missing}) if missing else schema


def _read_schema(text: str) -> msgspec.Raw | None:
    return msgspec.Raw(text.encode()) if decode_object(msgspec.Raw(text.encode())) is not None else None

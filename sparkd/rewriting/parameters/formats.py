"""Formats of the response, as clients write them for other servers: in the shape of the request's own API.

Chat and completions nest the schema (`response_format.json_schema.schema`), responses does not (`text.format.schema`),
and messages has it in `output_config.format`.
"""

from __future__ import annotations

import msgspec

from sparkd.errors import InvalidRequest
from sparkd.rewriting.body import JsonBody
from sparkd.rewriting.decoding import Fields, decode_object, decode_string, encode_raw, is_null
from sparkd.rewriting.parameters.engine_facts import runs_vllm
from sparkd.rewriting.rewrite_context import Api, RewriteContext

_OWNERS = {"responses": "text", "messages": "output_config"}
"""The fields that hold `format` beside other things."""

FORMAT_FIELDS = frozenset({"response_format", *_OWNERS.values()})
"""The fields that may have a format."""

_DEFAULT_NAME = "response"
_ANY_OBJECT = encode_raw({"type": "object"})
_SCHEMA_KEYS = ("properties", "$ref", "$defs", "anyOf", "oneOf", "allOf", "enum", "const")
_JSON_TYPES = ("json_schema", "json_object", "json")


def fix_format(context: RewriteContext, body: JsonBody) -> JsonBody:
    """Bring the format into the API's shape; one that says nothing is left out. Raises InvalidRequest."""
    owner_name = _OWNERS.get(context.api)
    if owner_name is None:
        given = body.fields.get("response_format")
        if given is None:
            return body
        fixed = _fix(context, given, "response_format")
        return body.without(("response_format",)) if fixed is None else _set(body, given, fixed)
    owner = decode_object(body.fields.get(owner_name))
    if owner is None or "format" not in owner:
        return body
    fixed = _fix(context, owner["format"], f"{owner_name}.format")
    if fixed is owner["format"]:
        return body
    rest = {name: value for name, value in owner.items() if name != "format"}
    new = rest if fixed is None else {**rest, "format": fixed}
    return body.with_field(owner_name, new) if new else body.without((owner_name,))


def _set(body: JsonBody, given: msgspec.Raw, fixed: msgspec.Raw) -> JsonBody:
    return body if fixed is given else body.with_field("response_format", fixed)


def _fix(context: RewriteContext, given: msgspec.Raw, field: str) -> msgspec.Raw | None:
    """The format to send: the same object if it is right, None if it says nothing."""
    name = decode_string(given)
    fields = {"type": encode_raw(name)} if name is not None else decode_object(given) or {}
    kind = (decode_string(fields.get("type")) or "").strip().lower()
    schema = _find_schema(fields)
    if kind in _JSON_TYPES or (not kind and schema is not None):
        return _write_schema(context.api, given, fields, schema)
    if name is not None and kind != "text":
        return None
    if kind in ("", "text"):
        says_nothing = not kind or context.api == "messages"
        is_right = decode_string(fields.get("type")) == kind and name is None
        return None if says_nothing else given if is_right else encode_raw({"type": "text"})
    if not runs_vllm(context.model) or (kind == "structural_tag" and context.api in ("chat", "completions")):
        return given
    raise InvalidRequest(
        f'`{field}.type` is "{kind[:40]}", which vLLM does not know. Send "text", "json_object" or "json_schema". '
        "For a grammar, a regular expression or a choice, send `structured_outputs`.",
        param=f"{field}.type",
    )


def _find_schema(fields: Fields) -> msgspec.Raw | None:
    """The schema, wherever the client put it; None if there is none."""
    inner = decode_object(fields.get("json_schema")) or {}
    for owner in (inner, fields):
        if decode_object(owner.get("schema")) is not None:
            return owner["schema"]
    return fields["json_schema"] if any(key in inner for key in _SCHEMA_KEYS) else None


def _write_schema(api: Api, given: msgspec.Raw, fields: Fields, schema: msgspec.Raw | None) -> msgspec.Raw:
    kind = decode_string(fields.get("type"))
    if schema is None:
        if api == "messages":
            return encode_raw({"type": "json_schema", "schema": _ANY_OBJECT})
        is_right = kind == "json_object" and decode_object(given) is not None and len(fields) == 1
        return given if is_right else encode_raw({"type": "json_object"})
    inner = decode_object(fields.get("json_schema"))
    owner = (inner or {}) if api in ("chat", "completions") else fields
    has_name = api == "messages" or decode_string(owner.get("name")) is not None
    if kind == "json_schema" and has_name and owner.get("schema") is schema:
        return given
    if api == "messages":
        return encode_raw({"type": "json_schema", "schema": schema})
    named = fields if inner is None or "schema" not in inner else inner
    new: dict[str, object] = {"name": decode_string(named.get("name")) or _DEFAULT_NAME}
    new |= {key: named[key] for key in ("description", "strict") if not is_null(named.get(key))}
    new["schema"] = schema
    nested = api in ("chat", "completions")
    return encode_raw({"type": "json_schema", **({"json_schema": new} if nested else new)})

"""Fields that mean something only beside another field, and formats that are incomplete."""

from __future__ import annotations

from typing import Any

import msgspec

from sparkd.rewriting.body import JsonBody
from sparkd.rewriting.decoding import (
    decode_boolean,
    decode_object,
    decode_string,
    decode_value,
    encode_raw,
)
from sparkd.rewriting.rewrite_context import RewriteContext

_EMPTY_OBJECTS = ("response_format", "logit_bias", "stream_options")
DEPENDENT_FIELDS = frozenset({*_EMPTY_OBJECTS, "logprobs", "top_logprobs", "max_tokens", "metadata"})
_EMPTY = (b"{}", b"[]")
_FORMAT_NAMES = frozenset({"text", "json_object"})


def fix_dependent_fields(context: RewriteContext, body: JsonBody) -> JsonBody:
    """Leave out fields that depend on one that is missing, and complete what is required."""
    fields = body.fields
    body = body.without([name for name in _EMPTY_OBJECTS if name in fields and _is_empty(fields[name])])
    if context.api in ("chat", "completions"):
        body = _fix_stream_options(body)
        body = _fix_response_format(body)
    if context.api == "chat":
        return _fix_logprobs(body)
    if context.api == "completions":
        return _fix_completion_limit(body)
    return _fix_metadata(context, body)


def _is_empty(value: msgspec.Raw) -> bool:
    return len(memoryview(value)) < 16 and bytes(value).replace(b" ", b"") in _EMPTY


def _fix_stream_options(body: JsonBody) -> JsonBody:
    if "stream_options" in body.fields and not decode_value(body.fields.get("stream")):
        return body.without(("stream_options",))
    return body


def _fix_response_format(body: JsonBody) -> JsonBody:
    """`"json_object"` instead of an object, and an object without a type."""
    value = body.fields.get("response_format")
    if value is None:
        return body
    name = decode_string(value)
    if name is not None:
        named = name.strip().lower()
        return (
            body.with_field("response_format", {"type": named})
            if named in _FORMAT_NAMES
            else body.without(("response_format",))
        )
    fields = decode_object(value)
    if fields is not None and not decode_value(fields.get("type")):
        return body.without(("response_format",))
    return body


def _fix_logprobs(body: JsonBody) -> JsonBody:
    """`logprobs` as a number, and `top_logprobs` without `logprobs`."""
    fields = body.fields
    if "logprobs" not in fields and "top_logprobs" not in fields:
        return body
    logprobs = decode_value(fields.get("logprobs"))
    if isinstance(logprobs, int) and not isinstance(logprobs, bool):
        if logprobs < 1:
            body = body.without(("logprobs",))
        elif "top_logprobs" in fields:
            body = body.with_field("logprobs", True)
        else:
            return body.with_fields({"logprobs": True, "top_logprobs": logprobs})
    if "top_logprobs" in fields and not decode_boolean(body.fields.get("logprobs")):
        return body.without(("top_logprobs",))
    return body


def _fix_completion_limit(body: JsonBody) -> JsonBody:
    """A limit of 0 is meant only with `echo`, which then scores the prompt."""
    if decode_value(body.fields.get("max_tokens")) == 0 and not decode_value(body.fields.get("echo")):
        return body.without(("max_tokens",))
    return body


def _fix_metadata(context: RewriteContext, body: JsonBody) -> JsonBody:
    """`metadata` is an object; /v1/responses takes only texts in it."""
    value = body.fields.get("metadata")
    if value is None:
        return body
    fields = decode_object(value)
    if fields is None:
        return body.without(("metadata",))
    if context.api == "messages" or all(decode_string(item) is not None for item in fields.values()):
        return body
    texts: dict[str, Any] = {
        name: item if decode_string(item) is not None else encode_raw(bytes(item).decode("utf-8", "replace"))
        for name, item in fields.items()
    }
    return body.with_field("metadata", texts)

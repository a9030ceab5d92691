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
    is_null,
)
from sparkd.rewriting.rewrite_context import RewriteContext

_EMPTY_VALUES = ("response_format", "logit_bias", "stream_options", "allowed_token_ids")
DEPENDENT_FIELDS = frozenset(
    {
        *_EMPTY_VALUES,
        "logprobs",
        "top_logprobs",
        "max_tokens",
        "metadata",
        "min_tokens",
        "n",
        "structured_outputs",
    }
    | {"continue_final_message"}
)
_CONSTRAINTS = ("json", "regex", "choice", "grammar", "json_object", "structural_tag")
_EMPTY = (b"{}", b"[]")
_LIMITS = ("max_completion_tokens", "max_tokens")
_LEAST_RANDOM = 0.01
"""The lowest temperature at which vLLM samples; below, it chooses the likeliest token, and rejects `n` above 1."""


def fix_dependent_fields(context: RewriteContext, body: JsonBody) -> JsonBody:
    """Leave out fields that depend on one that is missing, and complete what is required."""
    fields = body.fields
    body = body.without([name for name in _EMPTY_VALUES if name in fields and _is_empty(fields[name])])
    if context.api in ("chat", "completions"):
        body = _fix_stream_options(body)
        body = _fix_temperature(_fix_min_tokens(body))
        body = _fix_structured_outputs(body)
    if context.api == "chat":
        return _fix_continuation(_fix_logprobs(body))
    if context.api == "completions":
        return _fix_completion_limit(body)
    return _fix_metadata(context, body)


def _is_empty(value: msgspec.Raw) -> bool:
    return len(memoryview(value)) < 16 and bytes(value).replace(b" ", b"") in _EMPTY


def _fix_stream_options(body: JsonBody) -> JsonBody:
    if "stream_options" in body.fields and not decode_value(body.fields.get("stream")):
        return body.without(("stream_options",))
    return body


def _fix_min_tokens(body: JsonBody) -> JsonBody:
    """`min_tokens` above the limit: the limit counts."""
    least = _read_number(body, "min_tokens")
    limits = [limit for name in _LIMITS if (limit := _read_number(body, name)) is not None]
    if least is None or not limits or least <= min(limits):
        return body
    return body.with_field("min_tokens", min(limits))


def _fix_temperature(body: JsonBody) -> JsonBody:
    """Several responses at temperature 0, which vLLM rejects: nearly 0 instead."""
    count, temperature = _read_number(body, "n"), _read_number(body, "temperature")
    if count is None or temperature is None or count <= 1 or temperature >= _LEAST_RANDOM:
        return body
    is_beam = decode_boolean(body.fields.get("use_beam_search"))
    return body if is_beam else body.with_field("temperature", _LEAST_RANDOM)


def _read_number(body: JsonBody, name: str) -> float | None:
    value = decode_value(body.fields.get(name))
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _fix_structured_outputs(body: JsonBody) -> JsonBody:
    """`structured_outputs` without a constraint."""
    fields = decode_object(body.fields.get("structured_outputs"))
    if fields is None:
        return body
    constraints = [name for name in _CONSTRAINTS if not is_null(fields.get(name))]
    return body if constraints else body.without(("structured_outputs",))


def _fix_continuation(body: JsonBody) -> JsonBody:
    """`continue_final_message` excludes the beginning of another message, which is on by default."""
    if not decode_boolean(body.fields.get("continue_final_message")):
        return body
    return body.with_field("add_generation_prompt", False)


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

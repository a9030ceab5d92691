"""Stop strings: without empty ones, and no more than the engine takes."""

from __future__ import annotations

from typing import Any

from sparkd.rewriting.body import JsonBody
from sparkd.rewriting.decoding import decode_array, decode_string, decode_value
from sparkd.rewriting.rewrite_context import RewriteContext


def clean_stops(context: RewriteContext, body: JsonBody) -> JsonBody:
    """Remove empty and repeated stop strings, and those beyond `limits.stops`. The first ones stay."""
    name = "stop_sequences" if context.api == "messages" else "stop"
    value = body.fields.get(name)
    if value is None:
        return body
    items = decode_array(value)
    if items is None:
        return _clean_single(name, body)
    texts = [decode_string(item) for item in items]
    kept = list(dict.fromkeys(text for text in texts if text))[: context.model.rewriting.limits.stops]
    if not kept:
        return body.without((name,))
    return body if kept == texts else body.with_field(name, kept)


def _clean_single(name: str, body: JsonBody) -> JsonBody:
    """One string instead of a list. Only `stop` takes it; anything else than a string says nothing."""
    value: Any = decode_value(body.fields[name])
    if not isinstance(value, str) or not value:
        return body.without((name,))
    return body if name == "stop" else body.with_field(name, [value])

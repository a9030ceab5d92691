"""Joins text parts into one text, for chat templates that accept only a string."""

from __future__ import annotations

import msgspec

from sparkd.catalog.definitions import Model
from sparkd.rewriting.body import JsonBody
from sparkd.rewriting.decoding import decode_array, decode_object, decode_string, encode_raw
from sparkd.rewriting.rewrite_context import RewriteContext


def needs_joined_text(model: Model) -> bool:
    """Whether the model's chat template accepts only a string."""
    return model.rewriting.join_text and not model.vision


def join_text(_: RewriteContext, body: JsonBody) -> JsonBody:
    """Join the text parts of each message with newlines. Parts without text are removed if there is text."""
    messages = decode_array(body.fields.get("messages"))
    if not messages:
        return body
    joined = [_join_parts(message) for message in messages]
    changed = any(new is not old for new, old in zip(joined, messages, strict=True))
    return body.with_field("messages", joined) if changed else body


def _join_parts(message: msgspec.Raw) -> msgspec.Raw:
    fields = decode_object(message)
    parts = decode_array(fields.get("content")) if fields else None
    if not fields or not parts:
        return message
    texts = [text for part in parts if (text := read_text_part(part))]
    return encode_raw({**fields, "content": "\n".join(texts)}) if texts else message


def read_text_part(part: msgspec.Raw) -> str | None:
    """The text of a text part; None for any other part."""
    fields = decode_object(part)
    if fields is None or decode_string(fields.get("type")) not in ("text", "input_text", "output_text"):
        return None
    return decode_string(fields.get("text"))

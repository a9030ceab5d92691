"""Text given in parts becomes one text, for chat templates that can only take a text."""

from __future__ import annotations

import msgspec

from sparkd.catalog.definitions import Model
from sparkd.rewriting.body import JsonBody
from sparkd.rewriting.case import Case
from sparkd.rewriting.decoding import fields_of, items_of, raw, text_of


def joins_text(model: Model) -> bool:
    """Whether the model's chat template can only take a text."""
    return model.rewriting.join_text and not model.vision


def join_text(_: Case, body: JsonBody) -> JsonBody:
    """Join the text parts of each message with a newline; parts without text are dropped beside text."""
    messages = items_of(body.fields.get("messages"))
    if not messages:
        return body
    joined = [_joined(message) for message in messages]
    changed = any(new is not old for new, old in zip(joined, messages, strict=True))
    return body.with_field("messages", joined) if changed else body


def _joined(message: msgspec.Raw) -> msgspec.Raw:
    fields = fields_of(message)
    parts = items_of(fields.get("content")) if fields else None
    if not fields or not parts:
        return message
    texts = [text for part in parts if (text := text_in(part))]
    return raw({**fields, "content": "\n".join(texts)}) if texts else message


def text_in(part: msgspec.Raw) -> str | None:
    """The text of a part of type text; None for any other part."""
    fields = fields_of(part)
    if fields is None or text_of(fields.get("type")) not in ("text", "input_text", "output_text"):
        return None
    return text_of(fields.get("text"))

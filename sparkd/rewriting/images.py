"""Images in a request, in the three ways that clients send them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from sparkd.errors import ImagesNotSupported
from sparkd.rewriting.body import JsonBody
from sparkd.rewriting.decoding import decode_array, decode_object, decode_string, encode_raw
from sparkd.rewriting.rewrite_context import RewriteContext

IMAGE_TYPES = frozenset({"image_url", "input_image", "image"})
"""Types of parts that are images: OpenAI's chat, OpenAI's responses, Anthropic's messages."""

IMAGE_LEFT_OUT = "(an image, left out)"
"""Replaces the images of a turn that has no other content."""

TURN_FIELDS = ("messages", "input")
_CONTENT_FIELDS = ("content", "output")
MAX_DEPTH = 3
"""Levels that are searched for images: the parts of a message, and the parts of a tool result."""


def reject_images(context: RewriteContext, body: JsonBody) -> JsonBody:
    """Reject a request with an image, and name models that accept images. Raises ImagesNotSupported."""
    for name in TURN_FIELDS:
        if any(_has_image(turn) for turn in list_turns(body, name)):
            vision_models = sorted(peer.id for peer in context.alternatives if peer.vision and peer.enabled)
            others = (
                f"These models do: {', '.join(vision_models)}."
                if vision_models
                else "No model here accepts images."
            )
            raise ImagesNotSupported(
                f'Model "{context.model.id}" does not accept images. {others}', param=name
            )
    return body


def drop_images(_: RewriteContext, body: JsonBody) -> JsonBody:
    """Remove images."""
    for name in TURN_FIELDS:
        turns = list_turns(body, name)
        if any(_has_image(turn) for turn in turns):
            body = body.with_field(name, [_remove_images(turn) for turn in turns])
    return body


def is_image(part: msgspec.Raw) -> bool:
    """Whether a part of a message is an image."""
    fields = decode_object(part)
    return fields is not None and decode_string(fields.get("type")) in IMAGE_TYPES


def is_image_value(part: dict[str, Any]) -> bool:
    """Whether a decoded part of a message is an image."""
    kind = part.get("type")
    return isinstance(kind, str) and kind in IMAGE_TYPES


def list_turns(body: JsonBody, name: str) -> list[msgspec.Raw]:
    """The turns in a field of a body; empty if it has none."""
    return decode_array(body.fields.get(name)) or []


def _has_image(turn: msgspec.Raw, depth: int = MAX_DEPTH) -> bool:
    return depth > 0 and any(is_image(part) or _has_image(part, depth - 1) for part in list_parts(turn))


def list_parts(turn: msgspec.Raw) -> Iterator[msgspec.Raw]:
    """The parts of a message, of an item, or of a part that contains others."""
    fields = decode_object(turn) or {}
    for name in _CONTENT_FIELDS:
        yield from decode_array(fields.get(name)) or ()


def _remove_images(turn: msgspec.Raw, depth: int = MAX_DEPTH) -> msgspec.Raw:
    if not _has_image(turn, depth):
        return turn
    fields = decode_object(turn) or {}
    for name in _CONTENT_FIELDS:
        parts = decode_array(fields.get(name))
        if parts:
            fields[name] = encode_raw(
                [_remove_images(part, depth - 1) for part in parts if not is_image(part)] or IMAGE_LEFT_OUT
            )
    return encode_raw(fields)

"""Images in a request, in the three ways that clients send them."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from sparkd.errors import ImagesNotSupported
from sparkd.rewriting.body import JsonBody
from sparkd.rewriting.case import Case
from sparkd.rewriting.decoding import fields_of, items_of, raw, text_of

IMAGES = frozenset({"image_url", "input_image", "image"})
"""Types of parts that are images: OpenAI's chat, OpenAI's responses, Anthropic's messages."""

TURNS = ("messages", "input")
_NESTED = ("content", "output")
_DEEPEST = 3
"""Levels at which images are looked for: a message's part, and a part of a tool's result."""


def refuse_images(case: Case, body: JsonBody) -> JsonBody:
    """Refuse a request with an image in it, and name the models that take images. Raises ImagesNotSupported."""
    for name in TURNS:
        if any(_images_in(turn) for turn in _suspects(body, name)):
            seeing = sorted(peer.id for peer in case.peers if peer.vision and peer.enabled)
            others = f"These do: {', '.join(seeing)}." if seeing else "No model here does."
            raise ImagesNotSupported(f'Model "{case.model.id}" takes no images. {others}', param=name)
    return body


def drop_images(_: Case, body: JsonBody) -> JsonBody:
    """Leave images out."""
    for name in TURNS:
        turns = _suspects(body, name)
        if any(_images_in(turn) for turn in turns):
            body = body.with_field(name, [_blind(turn) for turn in turns])
    return body


def is_image(part: msgspec.Raw) -> bool:
    """Whether a part of a message is an image."""
    fields = fields_of(part)
    return fields is not None and text_of(fields.get("type")) in IMAGES


def _suspects(body: JsonBody, name: str) -> list[msgspec.Raw]:
    """The turns, if there can be an image among them: most requests have none, and are not taken apart."""
    return (items_of(body.fields[name]) or []) if body.may_name(name, b"image") else []


def _images_in(turn: msgspec.Raw, depth: int = _DEEPEST) -> bool:
    return depth > 0 and any(is_image(part) or _images_in(part, depth - 1) for part in _parts(turn))


def _parts(turn: msgspec.Raw) -> Iterator[msgspec.Raw]:
    fields = fields_of(turn) or {}
    for name in _NESTED:
        yield from items_of(fields.get(name)) or ()


def _blind(turn: msgspec.Raw, depth: int = _DEEPEST) -> msgspec.Raw:
    if not _images_in(turn, depth):
        return turn
    fields = fields_of(turn) or {}
    for name in _NESTED:
        parts = items_of(fields.get(name))
        if parts:
            fields[name] = raw(
                [_blind(part, depth - 1) for part in parts if not is_image(part)] or "(an image, left out)"
            )
    return raw(fields)

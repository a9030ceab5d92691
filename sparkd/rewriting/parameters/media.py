"""Finds the images, videos and audio of a request, and their addresses, in the shapes of every API."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from sparkd.rewriting.body import JsonBody
from sparkd.rewriting.decoding import (
    Fields,
    decode_content,
    decode_object,
    decode_string,
    is_null,
)
from sparkd.rewriting.history.traits import NOT_A_LIST
from sparkd.rewriting.images import TURN_FIELDS

ADDRESS_KEYS = ("image_url", "video_url", "audio_url", "file_url")
MEDIA_TRAITS = frozenset({*ADDRESS_KEYS, "source", NOT_A_LIST})
"""What a conversation with media has."""

_CONTENT_KEYS = ("content", "output", "source")
_MAX_DEPTH = 8


class Medium(NamedTuple):
    """One address. `kind` is "image", "video", "audio" or "file", `field` the request's field that contains it."""

    kind: str
    address: str
    field: str


def find_media(body: JsonBody) -> Iterator[Medium]:
    """Yield every address of media in the conversation."""
    for name in TURN_FIELDS:
        if name in body.fields:
            yield from _find_in(body.fields[name], name, _MAX_DEPTH)


def _find_in(value: msgspec.Raw, field: str, depth: int) -> Iterator[Medium]:
    content = decode_content(value) if depth else None
    if isinstance(content, list):
        for item in content:
            yield from _find_in(item, field, depth - 1)
    elif isinstance(content, dict):
        yield from _read_addresses(content, field)
        for name in _CONTENT_KEYS:
            if name in content:
                yield from _find_in(content[name], field, depth - 1)


def _read_addresses(fields: Fields, field: str) -> Iterator[Medium]:
    for key in ADDRESS_KEYS:
        link = fields.get(key)
        if not is_null(link):
            inner = decode_object(link)
            address = decode_string(link if inner is None else inner.get("url"))
            yield Medium(key.removesuffix("_url"), address or "", field)
    if decode_string(fields.get("type")) in ("image", "document"):
        source = decode_object(fields.get("source"))
        if source is not None and (address := _read_source(source)) is not None:
            yield Medium("image" if decode_string(fields.get("type")) == "image" else "file", address, field)


def _read_source(source: Fields) -> str | None:
    """The address of Anthropic's source, as a data URL if it has the bytes; None for a text."""
    kind = decode_string(source.get("type"))
    if kind == "url":
        return decode_string(source.get("url")) or ""
    if kind in ("text", "content"):
        return None
    return f"data:{decode_string(source.get('media_type')) or ''};base64,{decode_string(source.get('data')) or ''}"

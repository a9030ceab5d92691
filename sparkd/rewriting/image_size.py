"""Width and height of an image from its first bytes: PNG, JPEG, GIF and WebP, by their published formats."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Literal

Size = tuple[int, int]

_LOOKED_AT = 8192
"""Characters of base64 that are decoded: enough for all but a JPEG with a large preview in front."""

_FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
"""Markers that begin a JPEG's frame (ITU T.81, table B.1)."""


def image_size(encoded: str) -> Size | None:
    """Width and height in pixels of an image given in base64; None where they cannot be found."""
    head = encoded[:_LOOKED_AT]
    try:
        data = base64.b64decode(head[: len(head) // 4 * 4])
    except (binascii.Error, ValueError):
        return None
    for magic, read in _READERS.items():
        if data.startswith(magic):
            return read(data)
    return None


def _png(data: bytes) -> Size | None:
    return _pair(data, 16, 4, "big")


def _gif(data: bytes) -> Size | None:
    return _pair(data, 6, 2, "little")


def _webp(data: bytes) -> Size | None:
    kind = data[12:16]
    if kind == b"VP8X" and len(data) >= 30:
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    if kind == b"VP8L" and len(data) >= 25:
        bits = int.from_bytes(data[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    size = _pair(data, 26, 2, "little") if kind == b"VP8 " else None
    return (size[0] & 0x3FFF, size[1] & 0x3FFF) if size else None


def _jpeg(data: bytes) -> Size | None:
    place = 2
    while place + 9 <= len(data) and data[place] == 0xFF:
        if data[place + 1] in _FRAMES:
            size = _pair(data, place + 5, 2, "big")
            return (size[1], size[0]) if size else None
        place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    return None


def _pair(data: bytes, place: int, width: int, order: Literal["big", "little"]) -> Size | None:
    end = place + 2 * width
    if len(data) < end:
        return None
    one = int.from_bytes(data[place : place + width], order)
    other = int.from_bytes(data[place + width : end], order)
    return one, other


_READERS: dict[bytes, Callable[[bytes], Size | None]] = {
    b"\x89PNG": _png,
    b"\xff\xd8": _jpeg,
    b"GIF8": _gif,
    b"RIFF": _webp,
}

"""Width and height of an image from its first bytes: PNG, JPEG, GIF and WebP, by their published formats."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Literal

Size = tuple[int, int]

_MAX_BASE64 = 8192
"""Characters of base64 that are decoded: enough unless a JPEG starts with a large preview."""

_FRAME_MARKERS = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
"""Markers at the start of a JPEG frame (ITU T.81, table B.1)."""


def read_image_size(encoded: str) -> Size | None:
    """Width and height in pixels of a base64 image; None if they cannot be found."""
    head = encoded[:_MAX_BASE64]
    try:
        data = base64.b64decode(head[: len(head) // 4 * 4])
    except (binascii.Error, ValueError):
        return None
    for magic, read in _READERS.items():
        if data.startswith(magic):
            return read(data)
    return None


def _read_png(data: bytes) -> Size | None:
    return _read_pair(data, 16, 4, "big")


def _read_gif(data: bytes) -> Size | None:
    return _read_pair(data, 6, 2, "little")


def _read_webp(data: bytes) -> Size | None:
    kind = data[12:16]
    if kind == b"VP8X" and len(data) >= 30:
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    if kind == b"VP8L" and len(data) >= 25:
        bits = int.from_bytes(data[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    size = _read_pair(data, 26, 2, "little") if kind == b"VP8 " else None
    return (size[0] & 0x3FFF, size[1] & 0x3FFF) if size else None


def _read_jpeg(data: bytes) -> Size | None:
    offset = 2
    while offset + 9 <= len(data) and data[offset] == 0xFF:
        if data[offset + 1] in _FRAME_MARKERS:
            size = _read_pair(data, offset + 5, 2, "big")
            return (size[1], size[0]) if size else None
        offset += 2 + int.from_bytes(data[offset + 2 : offset + 4], "big")
    return None


def _read_pair(data: bytes, offset: int, width: int, order: Literal["big", "little"]) -> Size | None:
    end = offset + 2 * width
    if len(data) < end:
        return None
    first = int.from_bytes(data[offset : offset + width], order)
    second = int.from_bytes(data[offset + width : end], order)
    return first, second


_READERS: dict[bytes, Callable[[bytes], Size | None]] = {
    b"\x89PNG": _read_png,
    b"\xff\xd8": _read_jpeg,
    b"GIF8": _read_gif,
    b"RIFF": _read_webp,
}

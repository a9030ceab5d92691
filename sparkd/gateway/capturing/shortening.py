"""Makes bodies shorter, so that many can be kept."""

from __future__ import annotations

import re
from typing import Final

from sparkd.usage.captured import CapturedBody

LARGEST: Final = 1024 * 1024
"""Bytes of one body that are kept."""

_SCANNED: Final = 8 * 1024 * 1024
"""Bytes of a body in which payloads are looked for: about 10 ms."""

_payload = re.compile(rb"[A-Za-z0-9+/_-]{512,}={0,2}")
"""Base64, such as an image in a data URL. Text has blanks."""

_KEPT: Final = 24
"""Bytes of a payload that are kept."""


def shorten(data: bytes | bytearray, size: int | None = None) -> CapturedBody:
    """The body without payloads, and without what is beyond LARGEST. `size` is its length, if `data` is only a part."""
    size = len(data) if size is None else size
    kept = _payload.sub(_abbreviate, bytes(data[:_SCANNED]))
    is_cut = len(kept) > LARGEST or size > _SCANNED
    return CapturedBody(text=kept[:LARGEST].decode("utf-8", "replace"), size=size, cut=is_cut)


def _abbreviate(match: re.Match[bytes]) -> bytes:
    payload = match[0]
    return b"%b...(%d characters)" % (payload[:_KEPT], len(payload))

"""The character encoding of a body, which must be UTF-8 (RFC 8259 8.1): engines reject everything else."""

from __future__ import annotations

import codecs
from collections.abc import Iterable
from typing import Final

from sparkd.errors import InvalidRequest

BOM: Final = codecs.BOM_UTF8
"""A byte order mark, which some clients put in front. It says nothing, and engines reject it."""

_STEP: Final = 1024 * 1024
"""Bytes that are decoded at once: the text of 64 MB could take 256 MB."""

_OTHERS: Final = (
    (codecs.BOM_UTF32_LE, "UTF-32"),  # begins like UTF-16's
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
    (b"{\0\0\0", "UTF-32"),
    (b"\0\0\0{", "UTF-32"),
    (b"{\0", "UTF-16"),
    (b"\0{", "UTF-16"),
)
"""How a JSON object in another encoding begins."""


def check_utf8(
    data: bytes | bytearray, rest: bytes | bytearray, payloads: Iterable[bytes | bytearray] = ()
) -> None:
    """Check a body's encoding. `rest` is the body without its payloads. Raises InvalidRequest.

    Nearly everything is ASCII, which is found at the speed of memory. Payloads that are ASCII are not decoded.
    """
    if all(payload.isascii() for payload in payloads) and (rest.isascii() or _find_invalid(rest) is None):
        return
    place = _find_invalid(data)
    if place is None:
        return
    reject_other_encodings(data)
    raise InvalidRequest(
        f"The body is not in UTF-8: byte {data[place]:#04x} at position {place:,} is not valid there. "
        "Send JSON in UTF-8, not in Latin-1 or another encoding."
    )


def reject_other_encodings(data: bytes | bytearray) -> None:
    """Raise InvalidRequest for a body in UTF-16 or UTF-32."""
    for start, name in _OTHERS:
        if data.startswith(start):
            raise InvalidRequest(f"The body is in {name}. Send JSON in UTF-8.")


def _find_invalid(data: bytes | bytearray) -> int | None:
    """The position of the first byte that is not valid in UTF-8, None if there is none."""
    view, done = memoryview(data), 0
    while done < len(data):
        is_last = done + _STEP >= len(data)
        try:
            _, taken = codecs.utf_8_decode(view[done : done + _STEP], "strict", is_last)
        except UnicodeDecodeError as error:
            return done + error.start
        done += taken
    return None

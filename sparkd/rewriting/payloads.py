"""Cuts long base64 payloads, mostly images, out of a body before it is parsed, and puts them back when it is sent.

So an 8 MB image is never parsed as JSON. A payload is a string, or the end of one, without a backslash: after
`;base64,` (a data URL) or as the value of a key `data` (Anthropic's images, OpenAI's audio). In valid JSON, both occur
only with this meaning, because a quote inside a string always has a backslash before it.
"""

from __future__ import annotations

import re
from itertools import count
from typing import NamedTuple

from sparkd.rewriting.spans import find_long_spans

MIN_BODY_SIZE = 256 * 1024
MIN_PAYLOAD_SIZE = 32 * 1024
"""Bytes of a body, and of a payload in it, below which payloads are not cut out."""

PREFIX_SIZE = 8192
"""Bytes of a payload that stay, because they contain the size of an image. A multiple of four."""

_DATA_URL = b";base64,"
_MAX_KEY_LENGTH = 24
_data_key = re.compile(rb'"data"\s{0,8}:\s{0,8}"\Z')


class ExtractedPayloads(NamedTuple):
    """The payloads, and the mark that replaces each of them in the body, followed by its number."""

    marker: bytes = b""
    payloads: tuple[bytes | bytearray, ...] = ()


NO_PAYLOADS = ExtractedPayloads()


def extract_payloads(data: bytes | bytearray) -> tuple[bytes | bytearray, ExtractedPayloads]:
    """A body with marks in place of its payloads, and the payloads."""
    pieces, payloads = _split_at_payloads(data) if len(data) >= MIN_BODY_SIZE else ([], ())
    if not payloads:
        return data, NO_PAYLOADS
    markers = (b"~sparkd-%d-" % number for number in count())
    marker = next(marker for marker in markers if not any(marker in piece for piece in pieces))
    marked_pieces = [piece + b"%s%d~" % (marker, number) for number, piece in enumerate(pieces[:-1])]
    return b"".join([*marked_pieces, pieces[-1]]), ExtractedPayloads(marker, payloads)


def restore_payloads(data: bytes | bytearray, extracted: ExtractedPayloads) -> bytes | bytearray:
    """A body with its payloads in place of the marks."""
    if not extracted.payloads:
        return data

    def restore(found: re.Match[bytes]) -> bytes | bytearray:
        number = int(found[1])
        return extracted.payloads[number] if number < len(extracted.payloads) else found[0]

    return re.sub(re.escape(extracted.marker) + rb"(\d{1,9})~", restore, data)


def _split_at_payloads(
    data: bytes | bytearray,
) -> tuple[list[bytes | bytearray], tuple[bytes | bytearray, ...]]:
    """The pieces between the payloads, and the payloads."""
    pieces: list[bytes | bytearray] = []
    payloads: list[bytes | bytearray] = []
    copied_to = 0
    for begin, end in find_long_spans(data, PREFIX_SIZE + MIN_PAYLOAD_SIZE):
        start = _find_payload(data, begin, end)
        if start is not None:
            pieces.append(data[copied_to : start + PREFIX_SIZE])
            payloads.append(data[start + PREFIX_SIZE : end])
            copied_to = end
    return [*pieces, data[copied_to:] if copied_to else data], tuple(payloads)


def _find_payload(data: bytes | bytearray, begin: int, end: int) -> int | None:
    """Where the payload at the end of a long string begins; None if there is none."""
    plain = max(begin, data.rfind(b"\\", begin, end) + 1)
    if end - plain < PREFIX_SIZE + MIN_PAYLOAD_SIZE:
        return None
    if plain == begin and _data_key.search(data, max(0, begin - _MAX_KEY_LENGTH), begin):
        return begin
    semicolon = data.find(_DATA_URL[:1], plain, end)  # most texts without a backslash have none
    marker = data.find(_DATA_URL, semicolon, end) if semicolon >= 0 else -1
    start = marker + len(_DATA_URL)
    return start if marker >= 0 and end - start >= PREFIX_SIZE + MIN_PAYLOAD_SIZE else None

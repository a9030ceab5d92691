"""Long payloads in base64, pictures mostly, set aside before a body is parsed and put back when it is sent.

An 8 MB picture is then never read as JSON at all. A payload is a string, or the end of one, without a backslash: after
`;base64,` (a data URL) or as the value of a key `data` (Anthropic's images, OpenAI's audio). In valid JSON both
can only be found where they mean it: no quote stands inside a string without a backslash before it.
"""

from __future__ import annotations

import re
from itertools import count
from typing import NamedTuple

from sparkd.rewriting.spans import find_long_spans

MIN_BODY_SIZE = 256 * 1024
MIN_PAYLOAD_SIZE = 32 * 1024
"""Bytes of a body, and of a payload in it, below which it is not worth it."""

PREFIX_SIZE = 8192
"""Bytes of a payload that stay, since the size of an image is told by its first bytes. A multiple of four."""

_DATA_URL = b";base64,"
_MAX_KEY_LENGTH = 24
_data_key = re.compile(rb'"data"\s{0,8}:\s{0,8}"\Z')


class ExtractedPayloads(NamedTuple):
    """What was set aside, and the mark that stands in the body with the number of each payload after it."""

    marker: bytes = b""
    payloads: tuple[bytes | bytearray, ...] = ()


NO_PAYLOADS = ExtractedPayloads()


def extract_payloads(data: bytes | bytearray) -> tuple[bytes | bytearray, ExtractedPayloads]:
    """A body with marks in place of what is set aside, and what that is."""
    pieces, payloads = _split_at_payloads(data) if len(data) >= MIN_BODY_SIZE else ([], ())
    if not payloads:
        return data, NO_PAYLOADS
    markers = (b"~sparkd-%d-" % number for number in count())
    marker = next(marker for marker in markers if not any(marker in piece for piece in pieces))
    marked_pieces = [piece + b"%s%d~" % (marker, number) for number, piece in enumerate(pieces[:-1])]
    return b"".join([*marked_pieces, pieces[-1]]), ExtractedPayloads(marker, payloads)


def restore_payloads(data: bytes | bytearray, extracted: ExtractedPayloads) -> bytes | bytearray:
    """A body with everything that was set aside in its place."""
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

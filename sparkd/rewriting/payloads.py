"""Long payloads in base64, pictures mostly, set aside before a body is parsed and put back when it is sent.

An 8 MB picture is then never read as JSON at all. A payload is a string, or the end of one, without a backslash: after
`;base64,` (a data URL) or as the value of a key `data` (Anthropic's images, OpenAI's audio). In valid JSON both
can only be found where they mean it: no quote stands inside a string without a backslash before it.
"""

from __future__ import annotations

import re
from itertools import count
from typing import NamedTuple

from sparkd.rewriting.spans import long_spans

LEAST_BODY = 256 * 1024
LEAST = 32 * 1024
"""Bytes of a body, and of a payload in it, below which it is not worth it."""

KEPT = 8192
"""Bytes of a payload that stay, since the size of an image is told by its first bytes. A multiple of four."""

_URL = b";base64,"
_LONGEST_KEY = 24
_key = re.compile(rb'"data"\s{0,8}:\s{0,8}"\Z')


class Aside(NamedTuple):
    """What was set aside, and the mark that stands in the body with the number of each payload after it."""

    mark: bytes = b""
    payloads: tuple[bytes | bytearray, ...] = ()


NOTHING = Aside()


def set_aside(data: bytes | bytearray) -> tuple[bytes | bytearray, Aside]:
    """A body with marks in place of what is set aside, and what that is."""
    pieces, payloads = _taken_apart(data) if len(data) >= LEAST_BODY else ([], ())
    if not payloads:
        return data, NOTHING
    marks = (b"~sparkd-%d-" % number for number in count())
    mark = next(mark for mark in marks if not any(mark in piece for piece in pieces))
    marked = [piece + b"%s%d~" % (mark, number) for number, piece in enumerate(pieces[:-1])]
    return b"".join([*marked, pieces[-1]]), Aside(mark, payloads)


def put_back(data: bytes | bytearray, aside: Aside) -> bytes | bytearray:
    """A body with everything that was set aside in its place."""
    if not aside.payloads:
        return data

    def whole(found: re.Match[bytes]) -> bytes | bytearray:
        number = int(found[1])
        return aside.payloads[number] if number < len(aside.payloads) else found[0]

    return re.sub(re.escape(aside.mark) + rb"(\d{1,9})~", whole, data)


def _taken_apart(data: bytes | bytearray) -> tuple[list[bytes | bytearray], tuple[bytes | bytearray, ...]]:
    """The pieces between the payloads, and the payloads."""
    pieces: list[bytes | bytearray] = []
    payloads: list[bytes | bytearray] = []
    kept = 0
    for begin, end in long_spans(data, KEPT + LEAST):
        start = _payload(data, begin, end)
        if start is not None:
            pieces.append(data[kept : start + KEPT])
            payloads.append(data[start + KEPT : end])
            kept = end
    return [*pieces, data[kept:] if kept else data], tuple(payloads)


def _payload(data: bytes | bytearray, begin: int, end: int) -> int | None:
    """Where the payload at the end of a long string begins; None if there is none."""
    plain = max(begin, data.rfind(b"\\", begin, end) + 1)
    if end - plain < KEPT + LEAST:
        return None
    if plain == begin and _key.search(data, max(0, begin - _LONGEST_KEY), begin):
        return begin
    semicolon = data.find(_URL[:1], plain, end)  # most texts without a backslash have none
    marker = data.find(_URL, semicolon, end) if semicolon >= 0 else -1
    start = marker + len(_URL)
    return start if marker >= 0 and end - start >= KEPT + LEAST else None

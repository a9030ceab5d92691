"""Long payloads in base64, pictures mostly, set aside before a body is parsed and put back when it is sent.

An 8 MB picture is then never read as JSON at all. A payload is a string, or the end of one, without a backslash: after
`;base64,` (a data URL) or as the value of a key `data` (Anthropic's images, OpenAI's audio). In valid JSON both
can only be found where they mean it: no quote stands inside a string without a backslash before it.
"""

from __future__ import annotations

import re
from itertools import count
from typing import NamedTuple

LEAST_BODY = 256 * 1024
LEAST = 32 * 1024
"""Bytes of a body, and of a payload in it, below which it is not worth it."""

KEPT = 8192
"""Bytes of a payload that stay, since the size of an image is told by its first bytes. A multiple of four."""

_URL = b";base64,"
_KEY = b'"data"'
_opens = re.compile(rb'\s{0,8}:\s{0,8}"')


class Aside(NamedTuple):
    """What was set aside, and the mark that stands in the body with the number of each payload after it."""

    mark: bytes = b""
    payloads: tuple[bytes, ...] = ()


NOTHING = Aside()


def set_aside(data: bytes) -> tuple[bytes, Aside]:
    """A body with marks in place of what is set aside, and what that is."""
    pieces, payloads = _taken_apart(data) if len(data) >= LEAST_BODY else ([], ())
    if not payloads:
        return data, NOTHING
    marks = (b"~sparkd-%d-" % number for number in count())
    mark = next(mark for mark in marks if not any(mark in piece for piece in pieces))
    marked = [piece + b"%s%d~" % (mark, number) for number, piece in enumerate(pieces[:-1])]
    return b"".join([*marked, pieces[-1]]), Aside(mark, payloads)


def put_back(data: bytes, aside: Aside) -> bytes:
    """A body with everything that was set aside in its place."""
    if not aside.payloads:
        return data

    def whole(found: re.Match[bytes]) -> bytes:
        number = int(found[1])
        return aside.payloads[number] if number < len(aside.payloads) else found[0]

    return re.sub(re.escape(aside.mark) + rb"(\d{1,9})~", whole, data)


def _taken_apart(data: bytes) -> tuple[list[bytes], tuple[bytes, ...]]:
    """The pieces between the payloads, and the payloads."""
    pieces: list[bytes] = []
    payloads: list[bytes] = []
    kept = place = 0
    while (begin := _next(data, place)) >= 0:
        start = begin + KEPT
        place = data.find(b'"', begin)
        if place < 0:
            break
        if place - start >= LEAST and data.find(b"\\", begin, place) < 0:
            pieces.append(data[kept:start])
            payloads.append(data[start:place])
            kept = place
    return [*pieces, data[kept:]], tuple(payloads)


def _next(data: bytes, place: int) -> int:
    """Where the next payload may begin; -1 if none does.

    Two plain searches: one pattern for both takes ten times as long over a long text that has neither.
    """
    url = data.find(_URL, place)
    key = data.find(_KEY, place, url if url >= 0 else len(data))
    while key >= 0:
        if opens := _opens.match(data, key + len(_KEY)):
            return opens.end()
        key = data.find(_KEY, key + 1, url if url >= 0 else len(data))
    return url + len(_URL) if url >= 0 else -1

"""Long payloads in base64, pictures mostly, set aside before a body is parsed and put back when it is sent.

An 8 MB picture is then never read as JSON at all. A payload is a string, or the end of one, without a backslash: after
`;base64,` (a data URL) or as the value of a key `data` (Anthropic's images, OpenAI's audio). In valid JSON both
can only be found where they mean it: no quote stands inside a string without a backslash before it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

LEAST_BODY = 256 * 1024
LEAST = 32 * 1024
"""Bytes of a body, and of a payload in it, below which it is not worth it."""

KEPT = 8192
"""Bytes of a payload that stay, since the size of an image is told by its first bytes. A multiple of four."""

_secret = os.urandom(12).hex().encode()
_mark = re.compile(b"~" + _secret + rb"-(\d+)~")
_begins = re.compile(rb';base64,|"data"\s{0,8}:\s{0,8}"')


def set_aside(data: bytes) -> tuple[bytes, list[bytes]]:
    """A body with marks in place of what is set aside, and what that is."""
    payloads: list[bytes] = []
    if len(data) < LEAST_BODY:
        return data, payloads
    pieces: list[bytes] = []
    kept = place = 0
    while found := _begins.search(data, place):
        start = found.end() + KEPT
        place = data.find(b'"', found.end())
        if place < 0:
            break
        if place - start < LEAST or data.find(b"\\", found.end(), place) >= 0:
            continue
        pieces += (data[kept:start], b"~%s-%d~" % (_secret, len(payloads)))
        payloads.append(data[start:place])
        kept = place
    return (b"".join([*pieces, data[kept:]]), payloads) if payloads else (data, payloads)


def put_back(data: bytes, payloads: Sequence[bytes]) -> bytes:
    """A body with everything that was set aside in its place."""
    return _mark.sub(lambda found: payloads[int(found[1])], data) if payloads else data

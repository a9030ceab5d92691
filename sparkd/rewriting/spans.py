"""Long strings in a body, found without looking at each of its bytes.

`bytes.find` and `bytes.rfind` look for a single byte 30 times as fast as for several.
"""

from __future__ import annotations

from collections.abc import Iterator


def find_long_spans(data: bytes | bytearray, least: int) -> Iterator[tuple[int, int]]:
    """Yield begin and end of each span between two neighbouring quotes that is at least `least` bytes long.

    A span without a backslash is a whole string, if the body is valid JSON and the first quote opens it. A span that
    is too short costs nothing of its own: the last quote among the next `least` bytes rules out all before it.
    """
    begin = data.find(b'"') + 1
    while begin:
        last = data.rfind(b'"', begin, begin + least)
        if last >= 0:
            begin = last + 1
            continue
        end = data.find(b'"', begin + least)
        if end >= 0:
            yield begin, end
        begin = end + 1

"""Lone surrogates: halves of a character that a client cut in two, such as `"\\ud83d"` at the end of a string.

They are valid JSON for some parsers, but no text: neither sparkd nor an engine can decode them.
"""

from __future__ import annotations

import re

REPLACEMENT = rb"\ufffd"
"""The replacement character U+FFFD, as JSON."""

_escape = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"  # a whole pair
    rb"|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})"  # a lone half
    rb"|\\[^\r\n]"  # any other escape, such as an escaped backslash before a `u`
)


def replace_lone_surrogates(data: bytes | bytearray) -> bytes:
    """JSON with U+FFFD in place of each lone surrogate."""
    return _escape.sub(lambda found: REPLACEMENT if found[1] else found[0], bytes(data))

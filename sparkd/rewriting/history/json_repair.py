"""Repairs JSON objects that were cut off: the arguments of a tool call whose stream ended too early.

Reads a text once, and parses it three times at most. Takes about a microsecond per character at worst.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from sparkd.rewriting.surrogates import replace_lone_surrogates

MAX_SIZE = 64 * 1024
"""Characters of a text that is worth repairing."""

_decoder = json.JSONDecoder(strict=False, parse_constant=lambda _: None)
_token = re.compile(r'"(?:[^"\\]|\\.)*+("?)|[\[\]{},]', re.DOTALL)
_cut_escape = re.compile(r"(?<!\\)((?:\\\\)*)\\(?:u[0-9a-fA-F]{0,3})?\Z")
_closing = {"{": "}", "[": "]"}


def repair_object(text: str) -> str:
    """The JSON of the object that a text holds, as far as it was written; `{}` if there is none."""
    start = text.find("{")
    if start < 0 or len(text) > MAX_SIZE:
        return "{}"
    for candidate in _list_candidates(text[start:]):
        try:
            value, _ = _decoder.raw_decode(
                replace_lone_surrogates(candidate.encode("utf-8", "replace")).decode()
            )
            if isinstance(value, dict):
                return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        except (ValueError, RecursionError):
            continue
    return "{}"


def _list_candidates(text: str) -> Iterator[str]:
    """What the text may have been meant to be: as it is, closed at its end, closed before its last member."""
    yield text
    open_: list[str] = []
    popped: list[str] = []  # closed after `cut`
    cut = 0
    is_in_string = False
    for token in _token.finditer(text):
        first = token[0][0]
        is_in_string = first == '"' and not token[1]
        if first in "]}":
            popped += [open_.pop()] if open_ else []
        elif first != '"':
            cut = token.start() if first == "," else token.end()
            open_ += [_closing[first]] if first in _closing else []
            popped = []
    end = _cut_escape.sub(r"\1", text) + '"' if is_in_string else text
    yield end + "".join(reversed(open_))
    yield text[:cut] + "".join(popped) + "".join(reversed(open_))

"""Reads how many tokens a request used from what its engine sent: the usage of each API.

Only the beginning and the end of a response are looked at, after it has ended, and nothing is decoded: in a JSON
string, quotes are escaped, so that `"usage":` cannot be part of a generated text.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

TAIL: Final = 4096
"""Bytes of the end of a response that are kept."""

_LONGEST_USAGE: Final = 1024
"""Bytes."""

_begin = re.compile(rb'"(?:usage|billed_units|timings)":\s*\{')
_count = re.compile(
    rb'"(prompt_tokens|completion_tokens|input_tokens|output_tokens|total_tokens|cached_tokens'
    rb'|cache_read_input_tokens|cache_creation_input_tokens|prompt_n|predicted_n|cache_n)":\s*(\d{1,15})'
)


class Tokens(NamedTuple):
    """The tokens of one request. Each is None if it is unknown. `cached` is a part of `tokens_in`."""

    tokens_in: int | None = None
    cached: int | None = None
    tokens_out: int | None = None


UNKNOWN: Final = Tokens()


def read_tokens(beginning: bytes, end: bytes) -> Tokens:
    """The tokens of a response, of which these are the first and the last bytes."""
    last = _read_last(end)
    if last.tokens_in is not None and last.tokens_out is not None:
        return last
    # /v1/rerank reports its usage first; some engines report the prompt's tokens in the first event of /v1/messages.
    first = _read_last(beginning)
    return Tokens(*(old if new is None else new for new, old in zip(last, first, strict=True)))


def _read_last(data: bytes) -> Tokens:
    """The last usage in these bytes."""
    found = list(_begin.finditer(data))
    if not found:
        return UNKNOWN
    begin = found[-1].end()
    counts: dict[bytes, int] = {}
    for name, value in _count.findall(data, begin, begin + _LONGEST_USAGE):
        counts.setdefault(name, int(value))  # later ones may be of something that follows
    return _interpret(counts)


def _interpret(counts: dict[bytes, int]) -> Tokens:
    get = counts.get
    if b"predicted_n" in counts:  # llama.cpp, which reports these in each stream
        cached = get(b"cache_n")
        return Tokens(_add(get(b"prompt_n"), cached), cached, counts[b"predicted_n"])
    tokens_in = get(b"prompt_tokens", get(b"input_tokens"))
    tokens_out = get(b"completion_tokens", get(b"output_tokens"))
    cached = get(b"cached_tokens")
    if b"cache_read_input_tokens" in counts or b"cache_creation_input_tokens" in counts:
        # Anthropic's API: what was read from the cache or written to it does not count as input.
        cached = get(b"cache_read_input_tokens", cached)
        tokens_in = _add(
            _add(tokens_in, get(b"cache_read_input_tokens")), get(b"cache_creation_input_tokens")
        )
    if tokens_in is None and tokens_out is None:
        tokens_in = get(b"total_tokens")
    return Tokens(tokens_in, cached, tokens_out)


def _add(tokens: int | None, more: int | None) -> int | None:
    return tokens if tokens is None or more is None else tokens + more

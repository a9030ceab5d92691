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

_NAMES: Final = (b'"usage"', b'"timings"', b'"billed_units"')
"""Where the tokens are: in all APIs, with llama.cpp, with Cohere's API."""

_object = re.compile(rb"\s*:\s*\{")
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
    first = UNKNOWN if beginning == end else _read_last(beginning)
    return Tokens(*(old if new is None else new for new, old in zip(last, first, strict=True)))


def _read_last(data: bytes) -> Tokens:
    """The last usage in these bytes."""
    for name in _NAMES:
        at = data.rfind(name)
        while at >= 0:
            begin = at + len(name)
            if _object.match(data, begin):
                return _interpret(_count.findall(data, begin, begin + _LONGEST_USAGE))
            at = data.rfind(name, 0, at)  # `"usage":null`
    return UNKNOWN


def _interpret(found: list[tuple[bytes, bytes]]) -> Tokens:
    counts = dict(reversed(found))  # of several, the first one: later ones may be of something that follows
    if b"predicted_n" in counts:  # llama.cpp, which reports these in each stream
        cached = _get(counts, b"cache_n")
        return Tokens(_add(_get(counts, b"prompt_n"), cached), cached, _get(counts, b"predicted_n"))
    tokens_in = _get(counts, b"prompt_tokens", b"input_tokens")
    tokens_out = _get(counts, b"completion_tokens", b"output_tokens")
    cached = _get(counts, b"cached_tokens", b"cache_read_input_tokens")
    if b"cache_read_input_tokens" in counts or b"cache_creation_input_tokens" in counts:
        # Anthropic's API: what was read from the cache or written to it does not count as input.
        tokens_in = _add(tokens_in, _get(counts, b"cache_read_input_tokens"))
        tokens_in = _add(tokens_in, _get(counts, b"cache_creation_input_tokens"))
    if tokens_in is None and tokens_out is None:
        tokens_in = _get(counts, b"total_tokens")
    return Tokens(tokens_in, cached, tokens_out)


def _get(counts: dict[bytes, bytes], *names: bytes) -> int | None:
    for name in names:
        if name in counts:
            return int(counts[name])
    return None


def _add(tokens: int | None, more: int | None) -> int | None:
    return tokens if tokens is None or more is None else tokens + more

"""Reads how many tokens a request used from what its engine sent: the usage of each API.

Only the beginning and the end of a response are looked at, after it has ended. In a JSON string, quotes are escaped, so
`"usage":` cannot be part of a generated text.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

import msgspec
from msgspec import Struct

TAIL: Final = 4096
"""Bytes of the end of a response that are kept."""

_LONGEST_USAGE: Final = 2048
"""Bytes."""

MOST: Final = 10**12
"""A larger figure is treated as a mistake of the engine."""

_NAMES: Final = (b'"usage"', b'"timings"', b'"billed_units"')
"""Where the tokens are: in all APIs, with llama.cpp, with Cohere's API."""

_object = re.compile(rb"\s*:\s*(?=\{)")


class Tokens(NamedTuple):
    """The tokens of one request. Each is None if it is unknown. `cached` is a part of `tokens_in`."""

    tokens_in: int | None = None
    cached: int | None = None
    tokens_out: int | None = None


UNKNOWN: Final = Tokens()


class _Details(Struct):
    cached_tokens: int | None = None


class _Usage(Struct):
    """The fields of all APIs together."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: _Details | None = None
    # /v1/responses and /v1/messages
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_tokens_details: _Details | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    # llama.cpp
    prompt_n: int | None = None
    predicted_n: int | None = None
    cache_n: int | None = None


_decode = msgspec.json.Decoder(_Usage).decode


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
            found = _object.match(data, at + len(name))
            if found is not None:
                return _read_object(data, found.end())
            at = data.rfind(name, 0, at)  # `"usage":null`
    return UNKNOWN


def _read_object(data: bytes, start: int) -> Tokens:
    """The usage that starts here; unknown if it is cut off, or has other values than numbers."""
    end = start
    while (end := data.find(b"}", end, start + _LONGEST_USAGE) + 1) > 0:
        if data.count(b"{", start, end) == data.count(b"}", start, end):
            try:
                return Tokens(*map(_check, _interpret(_decode(data[start:end]))))
            except msgspec.DecodeError:
                return UNKNOWN
    return UNKNOWN


def _check(tokens: int | None) -> int | None:
    """The figure if it is possible, otherwise None. Engines are other programs, and sums must stay numbers."""
    return tokens if tokens is not None and 0 <= tokens <= MOST else None


def _interpret(usage: _Usage) -> Tokens:
    if usage.prompt_tokens is not None:
        return Tokens(usage.prompt_tokens, _cached(usage.prompt_tokens_details), usage.completion_tokens)
    if usage.predicted_n is not None:  # llama.cpp reports these in each stream
        return Tokens(_add(usage.prompt_n, usage.cache_n), usage.cache_n, usage.predicted_n)
    if usage.input_tokens is None and usage.output_tokens is None:
        return Tokens(usage.total_tokens, None, usage.completion_tokens)
    # In Anthropic's API, what was read from the cache or written to it does not count as input.
    tokens_in = _add(
        _add(usage.input_tokens, usage.cache_read_input_tokens), usage.cache_creation_input_tokens
    )
    cached = _cached(usage.input_tokens_details)
    return Tokens(tokens_in, usage.cache_read_input_tokens if cached is None else cached, usage.output_tokens)


def _cached(details: _Details | None) -> int | None:
    return None if details is None else details.cached_tokens


def _add(tokens: int | None, more: int | None) -> int | None:
    return tokens if tokens is None or more is None else tokens + more

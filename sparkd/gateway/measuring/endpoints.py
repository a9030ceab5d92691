"""The name of an endpoint: the path that its API documents, never the path that a client sent."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from sparkd.errors import InvalidRequest
from sparkd.gateway.preparation.engine_paths import Segments, find_endpoint
from sparkd.gateway.preparation.paths import MAX_CACHED, parse_path
from sparkd.usage.records import OTHER

_OLLAMA: Final = frozenset({"chat", "generate", "embed", "embeddings"})
"""What follows `/api/` in the paths of Ollama's API that use a model."""

_MOST_NAME_SEGMENTS: Final = 2
"""A model's name in a path is one segment, or two: `org/name`."""


def find_endpoint_name(raw_path: bytes) -> str:
    """The name of the endpoint at this path, `OTHER` if no API documents it."""
    return _find_cached(raw_path) if len(raw_path) <= MAX_CACHED else OTHER


@lru_cache(maxsize=1024)
def _find_cached(raw_path: bytes) -> str:
    try:
        segments = parse_path(raw_path).segments
    except InvalidRequest:
        return OTHER
    if len(segments) == 2 and segments[0] == "api" and segments[1] in _OLLAMA:
        return "/".join(("", *segments))
    for candidate in _candidates(segments):
        if (endpoint := find_endpoint(candidate)) is not None:
            return endpoint.path
    return OTHER


def _candidates(segments: Segments) -> list[Segments]:
    """The path itself, then without the segments in it that may name a model: `/v1/<model>/…`."""
    if segments[:1] != ("v1",):
        return [segments]
    without_name = range(2, 2 + _MOST_NAME_SEGMENTS)
    return [segments, *(("v1", *segments[start:]) for start in without_name if len(segments) > start)]

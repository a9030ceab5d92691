"""Other addresses of the same paths: what clients make of a base URL with too much, too little or other parts.

`/v1/v1/chat/completions`, `/chat/completions`, `/openai/v1/embeddings`, `/V1/Models` and
`/v1/engines/<model>/completions` have one meaning each, so they are served.
"""

from __future__ import annotations

from typing import Final

from sparkd.catalog.names import RESERVED_PATH_SEGMENTS

Segments = tuple[str, ...]

BELOW_V1: Final[frozenset[Segments]] = frozenset(
    {
        ("chat", "completions"),
        ("completions",),
        ("embeddings",),
        ("responses",),
        ("messages",),
        ("messages", "count_tokens"),
        ("models",),
        ("audio", "transcriptions"),
        ("audio", "translations"),
    }
)
"""Paths below /v1 that are also served without it."""

_PROVIDERS: Final = frozenset({"openai", "anthropic"})
"""What may precede any of these paths. `api` may too, but is the beginning of Ollama's paths as well."""

_WORDS: Final = frozenset({"v1", "v2", "api", *_PROVIDERS, *(word for path in BELOW_V1 for word in path)})
"""Segments that are recognized in any case where a path begins."""


def resolve_address(segments: Segments) -> Segments:
    """The path that is meant: `segments` itself, unless it is another address of a path that is served."""
    if not segments:
        return segments
    segments = _fold_case(segments)
    segments = _without_prefix(segments)
    if segments in BELOW_V1:
        segments = ("v1", *segments)
    if segments[0] != "v1":
        return segments
    while segments[:2] == ("v1", "v1"):
        segments = segments[1:]
    if segments[1:2] == ("engines",) and len(segments) > 3:  # OpenAI's first API
        segments = ("v1", *segments[2:])
    while len(segments) > 3 and segments[2] == "v1" and segments[1] not in RESERVED_PATH_SEGMENTS:
        segments = (*segments[:2], *segments[3:])
    return _fold_case_below(segments)


def _fold_case(segments: Segments) -> Segments:
    """Lower case for the first segment of a path, if it is one of ours."""
    if segments[0] in _WORDS or segments[0].lower() not in _WORDS:
        return segments
    return (segments[0].lower(), *segments[1:])


def _fold_case_below(segments: Segments) -> Segments:
    """Lower case for a path below `/v1` or `/v1/<model>` that exists in lower case."""
    if segments[1:2] == ("models",):
        return segments  # names follow
    for start in (1, 2):
        rest = tuple(word.lower() for word in segments[start:])
        if rest in BELOW_V1:
            return (*segments[:start], *rest)
    return segments


def _without_prefix(segments: Segments) -> Segments:
    """Without what clients of other providers put in front of `/v1`."""
    while len(segments) > 1 and segments[0] in ("api", *_PROVIDERS):
        rest = _fold_case(segments[1:])
        if segments[0] == "openai" and rest[0].lower() == "deployments" and len(rest) > 2:  # Azure
            return ("v1", *rest[1:])
        is_known = rest in BELOW_V1 and (segments[0] in _PROVIDERS or rest == ("chat", "completions"))
        if not (is_known or rest[0] in ("v1", "v2", *_PROVIDERS)):
            return segments
        segments = rest
    return segments

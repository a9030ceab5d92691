"""Which paths are served, which reach an engine, and which never do.

Paths are taken apart before anything is decided, and put together anew for the engine: what is checked here is
what the engine sees. Whatever two programs might read differently is refused: double slashes, dot segments,
slashes and percent signs in disguise.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote, unquote_to_bytes

from sparkd.errors import InvalidRequest

UNVERSIONED = frozenset({"tokenize", "detokenize", "rerank", "score", "pooling", "classify"})
"""Paths of vLLM outside `/v1` that only answer about a model (vllm/entrypoints, 0.33)."""

COHERE = frozenset({("v2", "rerank"), ("v2", "embed")})
"""Paths of Cohere's API that vLLM serves."""

FORBIDDEN = frozenset(
    {"sleep", "wake_up", "is_sleeping", "pause", "resume", "is_paused", "abort_requests"}
    | {"collective_rpc", "server_info", "start_profile", "stop_profile", "scale_elastic_ep"}
    | {"reset_prefix_cache", "reset_mm_cache", "reset_encoder_cache"}
    | {"load_lora_adapter", "unload_lora_adapter", "update_weights", "init_weight_transfer_engine"}
)
"""Names of engine paths that change or lay bare the engine itself (vLLM's development mode, LoRA, profiling)."""

SERVED = "Served here: /v1/…, /v1/<model>/…, /v1/models, /healthz, /" + ", /".join(sorted(UNVERSIONED))


@dataclass(frozen=True, slots=True)
class Path:
    """A path taken apart: its segments decoded, and the first of them that is forbidden."""

    segments: tuple[str, ...]
    forbidden: str | None


@lru_cache(maxsize=1024)
def read_path(raw: bytes) -> Path:
    """Take a path apart. Raises InvalidRequest on one that is not plain."""
    text = raw.removeprefix(b"/")
    if text.endswith(b"/"):
        text = text[:-1]
    segments = tuple(map(_decode, text.split(b"/"))) if text else ()
    forbidden = next((segment for segment in segments if segment.lower() in FORBIDDEN), None)
    return Path(segments, forbidden)


@lru_cache(maxsize=1024)
def target(segments: tuple[str, ...]) -> bytes:
    """The path an engine is asked for. Raises InvalidRequest where a segment has a slash in it."""
    if any("/" in segment for segment in segments):
        raise InvalidRequest("The path has an encoded slash in it.")
    return b"/" + b"/".join(quote(segment, safe="!$&'()*+,;=:@").encode() for segment in segments)


def reaches_engines(segments: tuple[str, ...]) -> bool:
    """Whether engines may be asked for this path."""
    if segments[:1] == ("v1",):
        return len(segments) > 1
    return (len(segments) == 1 and segments[0] in UNVERSIONED) or segments in COHERE


def _decode(raw: bytes) -> str:
    try:
        segment = unquote_to_bytes(raw).decode()
    except UnicodeDecodeError:
        raise InvalidRequest("The path is not UTF-8.") from None
    if segment in ("", ".", ".."):
        raise InvalidRequest("The path has empty or dot segments.")
    if "%" in segment or "\\" in segment or not segment.isprintable():
        raise InvalidRequest("The path has characters in it that no path here has.")
    return segment

"""Paths: parsed before anything is decided, and rebuilt for the engine, so that it sees what was checked here.

A path that two programs might read differently is rejected: dot segments, encoded slashes and percent characters.
Empty segments are left out, since many clients join a base URL and a path with two slashes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote, unquote_to_bytes

from sparkd.errors import InvalidRequest
from sparkd.gateway.preparation.addresses import resolve_address

FORBIDDEN = frozenset(
    {"sleep", "wake_up", "is_sleeping", "pause", "resume", "is_paused", "abort_requests"}
    | {"collective_rpc", "server_info", "start_profile", "stop_profile", "scale_elastic_ep"}
    | {"reset_prefix_cache", "reset_mm_cache", "reset_encoder_cache"}
    | {"load_lora_adapter", "unload_lora_adapter", "update_weights", "init_weight_transfer_engine"}
)
"""Names of engine paths that change or expose the engine itself (vLLM's development mode, LoRA, profiling)."""

MAX_CACHED = 512
"""Bytes of path and query together up to which what was parsed is cached. Clients without a key choose them too, and
1,024 of 64 KiB each would take 100 MB for good."""


@dataclass(frozen=True, slots=True)
class Path:
    """A parsed path: its segments decoded, of the address that is meant, and the first one sent that is forbidden."""

    segments: tuple[str, ...]
    forbidden: str | None


def parse_path(raw: bytes) -> Path:
    """Parse a path. Raises InvalidRequest if it is ambiguous."""
    return _parse_cached(raw) if len(raw) <= MAX_CACHED else _parse(raw)


def _parse(raw: bytes) -> Path:
    segments = tuple(_decode(part) for part in raw.split(b"/") if part)
    forbidden = next((segment for segment in segments if segment.lower() in FORBIDDEN), None)
    return Path(resolve_address(segments), forbidden)


_parse_cached = lru_cache(maxsize=1024)(_parse)


def target(segments: tuple[str, ...]) -> bytes:
    """The path to request from an engine. Raises InvalidRequest if a segment has a slash in it."""
    if any("/" in segment for segment in segments):
        raise InvalidRequest("The path has an encoded slash in it.")
    return b"/" + b"/".join(quote(segment, safe="!$&'()*+,;=:@").encode() for segment in segments)


def _decode(raw: bytes) -> str:
    try:
        segment = unquote_to_bytes(raw).decode()
    except UnicodeDecodeError:
        raise InvalidRequest("The path is not UTF-8.") from None
    if segment in (".", ".."):
        raise InvalidRequest("The path has dot segments.")
    if "%" in segment or "\\" in segment or not segment.isprintable():
        raise InvalidRequest("The path has characters that no path of this API has.")
    return segment

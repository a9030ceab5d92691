"""What is found on the disk, and what was gained there: plain values, told by the daemon and printed by sparkctl."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

Presence = Literal["whole", "incomplete", "absent", "unknown"]


class OnDisk(Struct, frozen=True, kw_only=True):
    """One source, or tiktoken's encodings, as it is on the disk.

    `held` is what it takes there (bytes, parts that have arrived included), `missing` names the files that are not
    there or not whole, `left` is what is still to be fetched (bytes, None where the hub never told). "unknown": this
    user may not look. `fetching`: some process fetches it now.
    """

    source: str
    state: Presence
    held: int = 0
    missing: tuple[str, ...] = ()
    left: int | None = None
    fetching: bool = False


def presence(parts: Sequence[OnDisk]) -> Presence:
    """How much a model has of what it needs, its own source first; without that it is absent, whatever else it has."""
    if parts and parts[0].state in ("absent", "unknown"):
        return parts[0].state
    return "whole" if all(part.state in ("whole", "unknown") for part in parts) else "incomplete"


class ModelFiles(Struct, frozen=True, kw_only=True):
    """Everything of one model of the catalogue; `model` is None for a repository that none needs."""

    model: str | None = None
    enabled: bool = True
    parts: tuple[OnDisk, ...] = ()


class Removed(Struct, frozen=True, kw_only=True):
    """What was gained, in bytes."""

    freed: int

"""What a run of a model has used and how long it took to start, and the key that comparable runs share."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence

from msgspec import Struct, field


class PastRun(Struct, frozen=True):
    """A run that became ready: its peak and final memory in bytes, and the seconds until it was ready,
    in total and per phase."""

    peak: int
    final: int
    load_time: float
    phases: Mapping[str, float] = field(default_factory=dict)


class ModelProfile(Struct, frozen=True):
    """Learned from the last runs of a model: the footprint of the next one, and the last run itself."""

    footprint: int
    last: PastRun
    runs: int


def run_key(argv: Sequence[str], environment: Mapping[str, str], runtime: str) -> str:
    """Return the key that comparable runs share: a digest of command line, model's environment and runtime build."""
    text = json.dumps([list(argv), sorted(environment.items()), runtime])
    return hashlib.sha256(text.encode()).hexdigest()[:16]

"""The time in which one program ran as sparkd. Outside of them, nothing is known."""

from __future__ import annotations

import time

from msgspec import Struct, field


class Session(Struct):
    """`began` and `ended` are seconds since the epoch. `kept` are the models whose engines it took over from the
    program that it replaced, None if it replaced none: then every model begins as stopped."""

    version: str
    began: float = field(default_factory=time.time)
    ended: float | None = None
    kept: frozenset[str] | None = None

"""What a waiting request waits for, and for how long yet."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Stage = Literal["queued", "downloading", "evicting", "loading", "ready"]
"""What happens now for a request: other models are loaded before its own, its files are downloaded, other models leave
the memory, its model loads, or the engine has the request."""


class Leaving(Struct, frozen=True):
    """A model that leaves the memory for another one, once its `in_flight` requests have ended."""

    model: str
    in_flight: int = 0


class Forecast(Struct, frozen=True, kw_only=True):
    """An estimate for one waiting request.

    `position` is its place among the models that requests wait for, 1 for the next one, None if its model loads or is
    loaded. `ahead` are the models that are loaded before it. `phase` is the step of the load or of the download of
    `loading`, which is its own model or one of `ahead`; `progress` (0 to 1) is that of the phase. `seconds` is the time
    until its model is ready. Each is None if unknown. `leaving` are the models that leave the memory for its own.
    `blocked_by` is a sentence about what else keeps it waiting, such as a hold.
    """

    model: str
    stage: Stage
    position: int | None = None
    ahead: tuple[str, ...] = ()
    loading: str | None = None
    phase: str | None = None
    progress: float | None = None
    seconds: float | None = None
    leaving: tuple[Leaving, ...] = ()
    blocked_by: str = ""

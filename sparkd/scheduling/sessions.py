"""What a model's own past says about its sessions: requests that follow each other with pauses in between.

A person reads a response, an agent runs a tool: soon the next request comes. Until then the model is idle, but in use.
"""

from __future__ import annotations

from statistics import median
from typing import Final

from msgspec import Struct, field

LONGEST_PAUSE: Final = 240.0
"""Seconds. After a longer pause, a request begins a new session."""

KEPT_PAUSES: Final = 16
"""How many pauses are remembered."""

LIKELY: Final = 0.3
"""How likely it must be, by past pauses, that an idle model's session continues, so that it counts as in use."""

MARGIN: Final = 2.0
"""Seconds by which a pause may be longer than the longest usual one."""

ASSUMED_LENGTH: Final = 300.0
"""Seconds that the first session of a model is assumed to take."""

NEW_SHARE: Final = 0.2
"""Weight of the last session in the average length."""

LEAST_REST: Final = 0.25
"""Share of the average length that a session is assumed to take yet, however long it has taken."""


class Sessions(Struct):
    """The sessions of one model. All times are seconds.

    `pauses` are the last times from the end of a request to the next request. `length` is the average time that a
    session uses the model, 0 if unknown. The present session began to use the present run at `began`, and has used
    earlier runs for `used_before`. `clients` is the most requests that it had at the same time, each counted with its
    weight, and `importance` the weight of its most important one; 0 before the first one.
    """

    pauses: list[float] = field(default_factory=list)
    length: float = 0.0
    began: float = 0.0
    used_before: float = 0.0
    clients: float = 0.0
    importance: float = 0.0

    def add_pause(self, last_used: float, now: float, *, is_ready: bool) -> None:
        """A request arrives after a time without any. `is_ready`: the run that served the last one is still ready."""
        pause = now - last_used
        self.pauses.append(pause)
        if len(self.pauses) > KEPT_PAUSES:
            del self.pauses[0]
        if pause > LONGEST_PAUSE:
            if is_ready:
                self.suspend(last_used)
            length = self.used_before
            self.length = length if not self.length else (1 - NEW_SHARE) * self.length + NEW_SHARE * length
            self.began, self.used_before = now, 0.0
            self.clients = self.importance = 0.0

    @property
    def use(self) -> tuple[float, float]:
        """What the present session's requests count for against others, so far."""
        return self.clients or 1.0, self.importance or 1.0

    def add_use(self, weight: float, total: float) -> None:
        """A request of that weight begins to use the model. `total` is the weight of all that use it now."""
        self.importance = max(self.importance, weight)
        self.clients = max(self.clients, total)

    def resume(self, now: float) -> None:
        """The model is ready."""
        self.began = now

    def suspend(self, last_used: float) -> None:
        """The model is evicted, or its session is over."""
        self.used_before += max(0.0, last_used - self.began)

    def expected_pause(self, likely: float = LIKELY) -> float:
        """How long the model must be idle until it is less likely than `likely` that its session continues.

        0 without a past.
        """
        pauses = sorted(self.pauses)
        inside = sum(pause <= LONGEST_PAUSE for pause in pauses)
        if not inside:
            return 0.0
        longest = 0.0
        for shorter, pause in enumerate(pauses[:inside]):
            if inside - shorter < likely * (len(pauses) - shorter):
                break
            longest = pause
        return min(1.1 * longest + MARGIN, LONGEST_PAUSE)

    def usual_pause(self) -> float | None:
        """The median pause within a session. None if there was none yet."""
        inside = [pause for pause in self.pauses if pause <= LONGEST_PAUSE]
        return median(inside) if inside else None

    def expected_rest(self, now: float | None) -> float:
        """How long the present session will probably use the model from now on. `now` is None while it is not ready."""
        used = self.used_before + (0.0 if now is None else max(0.0, now - self.began))
        length = self.length or ASSUMED_LENGTH
        return max(length - used, LEAST_REST * length)

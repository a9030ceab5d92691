"""Points in time and durations as Ollama writes them: RFC 3339, and nanoseconds."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from msgspec import Struct

NEVER: Final = 253_370_764_800.0
"""The year 9999: when a model expires that is never stopped for idleness."""


class Timing(Struct):
    """When a request arrived and when its model was ready for it, in seconds of one steady clock.

    `wall` is when it arrived, in seconds since 1970. `granted` is None until the model is ready. `first` is when
    the first token arrived.
    """

    wall: float
    began: float
    granted: float | None = None
    first: float | None = None

    def format_time(self, now: float) -> str:
        """A point in time of the steady clock."""
        return format_time(self.wall + now - self.began)

    def durations(self, now: float) -> dict[str, int]:
        """The durations of a response that is complete, in nanoseconds.

        Engines do not report how long a prompt took. It is known if tokens were streamed; otherwise all of the time
        counts as the generation's.
        """
        granted = self.began if self.granted is None else self.granted
        first = granted if self.first is None else self.first
        return {
            "total_duration": _nanoseconds(now - self.began),
            "load_duration": _nanoseconds(granted - self.began),
            "prompt_eval_duration": _nanoseconds(first - granted),
            "eval_duration": _nanoseconds(now - first),
        }


def format_time(seconds: float) -> str:
    """Seconds since 1970 in RFC 3339."""
    return (
        datetime.fromtimestamp(min(seconds, NEVER), UTC)
        .isoformat(timespec="microseconds")
        .replace("+00:00", "Z")
    )


def _nanoseconds(seconds: float) -> int:
    return max(0, round(seconds * 1e9))

"""Whether an engine makes progress: its own counters show it, its health path does not.

vLLM's `/health` stays 200 even if its scheduler stalls. While it works, also during a long prefill, each step of the
engine increments `vllm:iteration_tokens_total_count`. Format: Prometheus' text exposition format, version 0.0.4.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

STRIKES: Final = 3
"""Checks in a row that must find no progress: a busy engine may be late once."""

SILENCES: Final = 6
"""Checks in a row without any response: then even its API is stuck."""

STEPS: Final = re.compile(r"^vllm:iteration_tokens_total_count(?:\{[^}]*\})? (\S+)", re.MULTILINE)
RUNNING: Final = re.compile(r"^vllm:num_requests_running(?:\{[^}]*\})? (\S+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Progress:
    """Steps since the engine started, and requests that are running now."""

    steps: float
    running: float


def read_progress(metrics: str) -> Progress | None:
    """Return the counters of an engine's metrics, summed over its parts; None if they have no such counters."""
    try:
        steps = [float(value) for value in STEPS.findall(metrics)]
        running = [float(value) for value in RUNNING.findall(metrics)]
    except ValueError:
        return None
    return Progress(sum(steps), sum(running)) if steps and running else None


class Liveness:
    """Counts checks of one engine. `wedged` is true if it has stalled."""

    def __init__(self) -> None:
        self._last: Progress | None = None
        self._strikes = 0
        self._silences = 0

    @property
    def wedged(self) -> bool:
        """Whether enough checks in a row found no progress."""
        return self._strikes >= STRIKES or self._silences >= SILENCES

    def note(self, progress: Progress) -> None:
        """Record a response."""
        still = self._last is not None and progress.running > 0 and progress.steps == self._last.steps
        self._strikes = self._strikes + 1 if still else 0
        self._silences = 0
        self._last = progress

    def note_silence(self) -> None:
        """Record that there was no response."""
        self._silences += 1

    def rest(self) -> None:
        """Forget earlier checks, because the engine is not in use."""
        self._last, self._strikes, self._silences = None, 0, 0

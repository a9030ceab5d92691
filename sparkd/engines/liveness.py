"""Whether an engine makes progress: its own counters show it, its health path does not.

vLLM's `/health` stays 200 even if its scheduler stalls. While it works, also during a long prefill, each step of the
engine increments `vllm:iteration_tokens_total_count`. Format: Prometheus' text exposition format, version 0.0.4.
"""

from __future__ import annotations

import re
from typing import Final

from msgspec import Struct

MAX_STALLED_CHECKS: Final = 3
"""Checks in a row that must find no progress: a busy engine may be late once."""

MAX_UNANSWERED_CHECKS: Final = 6
"""Checks in a row without any response: then even its API is stuck."""

STEPS_METRIC: Final = re.compile(r"^vllm:iteration_tokens_total_count(?:\{[^}]*\})? (\S+)", re.MULTILINE)
RUNNING_METRIC: Final = re.compile(r"^vllm:num_requests_running(?:\{[^}]*\})? (\S+)", re.MULTILINE)


class Progress(Struct, frozen=True):
    """Steps since the engine started, and requests that are running now."""

    steps: float
    running: float


def parse_progress(metrics: str) -> Progress | None:
    """Return the counters of an engine's metrics, summed over its parts; None if they have no such counters."""
    try:
        steps = [float(value) for value in STEPS_METRIC.findall(metrics)]
        running = [float(value) for value in RUNNING_METRIC.findall(metrics)]
    except ValueError:
        return None
    return Progress(sum(steps), sum(running)) if steps and running else None


class Liveness:
    """Counts checks of one engine. `wedged` is true if it has stalled."""

    def __init__(self) -> None:
        self._last: Progress | None = None
        self._stalled_checks = 0
        self._unanswered_checks = 0

    @property
    def wedged(self) -> bool:
        """Whether enough checks in a row found no progress."""
        return self._stalled_checks >= MAX_STALLED_CHECKS or self._unanswered_checks >= MAX_UNANSWERED_CHECKS

    def record_progress(self, progress: Progress) -> None:
        """Record a response."""
        stalled = self._last is not None and progress.running > 0 and progress.steps == self._last.steps
        self._stalled_checks = self._stalled_checks + 1 if stalled else 0
        self._unanswered_checks = 0
        self._last = progress

    def record_no_answer(self) -> None:
        """Record that there was no response."""
        self._unanswered_checks += 1

    def reset(self) -> None:
        """Forget earlier checks, because the engine is not in use."""
        self._last, self._stalled_checks, self._unanswered_checks = None, 0, 0

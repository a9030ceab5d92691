"""Whether an engine that answers requests gets anywhere: its own counters tell, its health path does not.

vLLM's `/health` stays 200 on a scheduler that stands still. What moves as long as it works, also during a long
prefill, is `vllm:iteration_tokens_total_count`: one more for each step of the engine. Format: Prometheus' text
exposition format, version 0.0.4.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

STRIKES: Final = 3
"""Looks in a row that must find no progress: a busy engine may be late once."""

SILENCES: Final = 6
"""Looks in a row that must get no answer at all: then even its API is stuck."""

STEPS: Final = re.compile(r"^vllm:iteration_tokens_total_count(?:\{[^}]*\})? (\S+)", re.MULTILINE)
RUNNING: Final = re.compile(r"^vllm:num_requests_running(?:\{[^}]*\})? (\S+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Progress:
    """Steps an engine has made since it started, and requests it works on now."""

    steps: float
    running: float


def read_progress(metrics: str) -> Progress | None:
    """Return what an engine's metrics say, summed over its parts; None where they have no such counters."""
    try:
        steps = [float(value) for value in STEPS.findall(metrics)]
        running = [float(value) for value in RUNNING.findall(metrics)]
    except ValueError:
        return None
    return Progress(sum(steps), sum(running)) if steps and running else None


class Liveness:
    """Counts looks at one engine. `wedged` says that it will not get anywhere any more."""

    def __init__(self) -> None:
        self._last: Progress | None = None
        self._strikes = 0
        self._silences = 0

    @property
    def wedged(self) -> bool:
        """Whether enough looks in a row have found nothing moving."""
        return self._strikes >= STRIKES or self._silences >= SILENCES

    def note(self, progress: Progress) -> None:
        """Take an answer into account."""
        still = self._last is not None and progress.running > 0 and progress.steps == self._last.steps
        self._strikes = self._strikes + 1 if still else 0
        self._silences = 0
        self._last = progress

    def note_silence(self) -> None:
        """Take into account that there was no answer."""
        self._silences += 1

    def rest(self) -> None:
        """Nobody uses it: what was seen counts no more."""
        self._last, self._strikes, self._silences = None, 0, 0

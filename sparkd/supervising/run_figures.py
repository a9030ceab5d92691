"""What one run has needed: time and memory."""

from __future__ import annotations

import time

from msgspec import Struct, field

from sparkd.engines.engine import Milestone
from sparkd.learning.past_runs import PastRun
from sparkd.machine.memory import Memory


class RunFigures(Struct):
    """The figures of one run. They are handed over with it. `had_launcher`: a launcher with all imports done was ready
    for it when its load began.

    In bytes: `used` is its memory at the last measurement, `available` what the machine had left then, `peak` its
    maximum, and `available_at_launch` what was available before it started. `load_time` and `phases` are in seconds;
    `phase_began` and `progress_at`, when the progress of the phase was reported, are in seconds of the steady clock.
    """

    used: int = 0
    peak: int = 0
    available: int = 0
    available_at_launch: int | None = None
    load_time: float | None = None
    phases: dict[str, float] = field(default_factory=dict)
    phase_began: float = field(default_factory=time.monotonic)
    progress_at: float = 0.0
    had_launcher: bool = False

    def record_usage(self, used: int, available: int | None) -> None:
        """Record the memory of its processes, and what was available at the same moment, in bytes."""
        if used and available is not None:
            self.used, self.available = used, available
            self.peak = max(self.peak, used)

    def record_ready(self, load_time: float, milestone: Milestone | None, memory: Memory) -> None:
        """Record that it is ready. On unified memory, count the decrease of available memory as its memory: no
        other model has started or stopped meanwhile, and a driver may report no figures per process."""
        self.load_time = load_time
        self.end_phase(milestone)
        if memory.kind == "unified" and memory.available is not None and self.available_at_launch is not None:
            self.peak = max(self.peak, self.available_at_launch - memory.available)

    def end_phase(self, milestone: Milestone | None) -> None:
        """Add the time since the last phase began to the phase of this milestone, which ends now."""
        now = time.monotonic()
        if milestone:
            self.phases[milestone.phase] = self.phases.get(milestone.phase, 0.0) + now - self.phase_began
        self.phase_began = now

    def restart_phases(self) -> None:
        """Forget the phases: the start begins, or begins again."""
        self.phases, self.phase_began = {}, time.monotonic()

    def to_past_run(self) -> PastRun | None:
        """Return the figures for the history. None if it never became ready, or ended before it was measured."""
        if self.load_time is None or not self.peak:
            return None
        return PastRun(self.peak, self.used, self.load_time, self.phases)

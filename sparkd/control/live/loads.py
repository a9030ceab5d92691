"""Loads and downloads that are under way, step by step, with how long each step usually takes."""

from __future__ import annotations

import time
from typing import Final

from msgspec import Struct, field

from sparkd.control.live.sources import Clock
from sparkd.control.live.state import LiveDownload, LiveLoad, LoadPhase
from sparkd.hub.messages import Progress
from sparkd.learning.load_estimates import LoadEstimate
from sparkd.scheduling.ledger import Entry
from sparkd.supervising.run import Run

TOLERANCE: Final = 2.0
"""Seconds, and RELATIVE the share of the rest, by which an estimate must change before it is sent again."""

RELATIVE: Final = 0.06


class SteadyEstimates(Struct):
    """Estimated points in time that move only if they move noticeably. `values` are by what they are about."""

    values: dict[object, float] = field(default_factory=dict)

    def settle(self, about: object, value: float | None, now: float) -> float | None:
        """The earlier estimate if this one is about the same, otherwise this one."""
        if value is None:
            self.values.pop(about, None)
            return None
        before = self.values.get(about)
        if before is None or abs(value - before) > max(TOLERANCE, RELATIVE * (value - now)):
            self.values[about] = before = value
        return before

    def keep(self, about: set[object]) -> None:
        """Forget everything else."""
        self.values = {key: value for key, value in self.values.items() if key in about}


def describe_load(
    entry: Entry, run: Run, estimate: LoadEstimate | None, ready_at: float | None, clock: Clock
) -> LiveLoad:
    """The load of a model that starts."""
    figures, milestone = run.figures, run.milestone
    progress = None if milestone is None or milestone.progress is None else round(milestone.progress, 2)
    return LiveLoad(
        began=clock.date(entry.since),
        warm=run.is_warm,
        phases=join_phases(figures.phases, milestone.phase if milestone else None, estimate),
        phase=milestone.phase if milestone else None,
        phase_since=clock.date(figures.phase_began),
        progress=progress,
        progress_at=None if progress is None else clock.date(figures.progress_at),
        usual=round(estimate.seconds, 1) if estimate else None,
        ready_at=ready_at,
    )


def join_phases(
    done: dict[str, float], phase: str | None, estimate: LoadEstimate | None
) -> tuple[LoadPhase, ...]:
    """The phases that a load has had, the present one, and those that follow by earlier loads."""
    usual = dict(estimate.phases) if estimate else {}
    names = [*done] if phase is None or phase in done else [*done, phase]
    expected = [name for name in usual if name not in names]
    if names and names[-1] in usual:  # what earlier loads had before the present phase was skipped this time
        order = list(usual)
        expected = [name for name in order[order.index(names[-1]) + 1 :] if name not in names]
    return tuple(
        LoadPhase(
            name=name,
            usual=round(usual[name], 1) if name in usual else None,
            took=round(done[name], 3) if name in done and name != phase else None,
        )
        for name in (*names, *expected)
    )


def describe_download(progress: Progress, ends_at: float | None) -> LiveDownload:
    """A download, in whole MiB, so that it changes a few times a second at most."""
    return LiveDownload(
        step=progress.step,
        source=progress.source,
        done=progress.done >> 20 << 20,
        total=progress.total,
        ends_at=ends_at,
    )


def end_of(seconds_left: float | None) -> float | None:
    """The point in time that is so far away."""
    return None if seconds_left is None else round(time.time() + seconds_left, 1)

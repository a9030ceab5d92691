"""How true the forecasts are: a household's week in which every waiting request asks again and again.

`python -m benchmarks.week.accuracy` prints the errors by stage: the difference between the seconds left that were
forecast and those that it then took, relative to the latter.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from random import Random
from statistics import median

from benchmarks.week.contestants import Granter, Refuser, Sparkd
from benchmarks.week.households import HOUSEHOLDS, Household
from benchmarks.week.simulation import Simulation
from benchmarks.week.varying_loads import Load, Step, VaryingLoads
from sparkd.catalog.definitions import Model
from sparkd.engines.engine import Milestone
from sparkd.learning.load_estimates import (
    LoadEstimate,
    LoadPosition,
    PastLoad,
    estimate_first_load,
    estimate_load,
)
from sparkd.scheduling.claim import PLAIN_CLAIM, Claim
from sparkd.scheduling.forecaster import Forecaster
from sparkd.scheduling.ledger import Entry
from sparkd.scheduling.lifecycle import State

LEAST_WAIT = 10.0
"""Requests that wait for a shorter time are not judged: clients get no heartbeat before it."""

MOMENTS = (5.0, 10.0, 20.0, 40.0, 60.0, 90.0, 120.0, 180.0, 240.0, 360.0, 480.0, 720.0)
"""Seconds after its arrival at which a request asks."""


@dataclass(frozen=True)
class Question:
    """A forecast: when it was made, in which stage, and the seconds left."""

    asked_at: float
    stage: str
    seconds: float


@dataclass
class Errors:
    """Relative errors by stage, and how many forecasts had no seconds."""

    by_stage: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    unknown: int = 0

    def all(self) -> list[float]:
        """All errors, the smallest first."""
        return sorted(error for errors in self.by_stage.values() for error in errors)

    def add(self, other: Errors) -> None:
        """Add the errors of another week."""
        for stage, errors in other.by_stage.items():
            self.by_stage[stage] += errors
        self.unknown += other.unknown


class LearnedLoads:
    """The loads of the simulation as the daemon sees them: from past loads, and from the steps of the log."""

    def __init__(self, simulation: VaryingWeek) -> None:
        self._simulation = simulation
        self._past: dict[str, list[PastLoad]] = {}
        self.running: dict[str, Load] = {}

    def record(self, model: str) -> None:
        """The model is ready."""
        load = self.running.pop(model)
        past = PastLoad(load.seconds, load.phases, load.is_warm, self._size(model))
        known = self._past.get(model, [])
        alike = [each for each in known if each.is_warm is load.is_warm][-4:]
        self._past[model] = [*(each for each in known if each.is_warm is not load.is_warm), *alike, past]

    def expected(self, model: Model) -> float | None:
        """The usual time of a load from a launcher, which most starts find."""
        estimate = self._estimate(model.id, is_warm=True)
        return estimate.seconds if estimate else None

    def left(self, entry: Entry, now: float) -> float | None:
        """What a load takes yet."""
        load, step = self._step(entry, now)
        estimate = self._estimate(entry.model.id, is_warm=load.is_warm)
        position = LoadPosition(
            elapsed=now - load.began,
            phase=step.phase,
            in_phase=now - step.began,
            progress=step.progress,
            progress_age=now - step.progress_at,
        )
        return estimate.left(position) if estimate else None

    def step(self, entry: Entry) -> Milestone:
        """The step of the log."""
        _, step = self._step(entry, self._simulation.now)
        return Milestone(step.phase, step.progress)

    def last_load_time(self, model: Model) -> float | None:
        """The seconds of the last load."""
        past = self._past.get(model.id)
        return past[-1].seconds if past else None

    def _step(self, entry: Entry, now: float) -> tuple[Load, Step]:
        load = self.running[entry.model.id]
        return load, load.step(now)

    def _size(self, model: str) -> int:
        return int(self._simulation.household.models[model].memory)

    def _estimate(self, model: str, *, is_warm: bool) -> LoadEstimate | None:
        if past := self._past.get(model):
            others = (loads[-1] for loads in self._past.values() if len(loads) > 1)
            return estimate_load(past, is_warm=is_warm, others=others)
        newest = (load for loads in self._past.values() for load in loads[-2:])
        return estimate_first_load(newest, self._size(model), is_warm=is_warm)


class VaryingWeek(Simulation):
    """A week whose loads vary. Nothing is known when it begins."""

    def __init__(self, household: Household, seed: int) -> None:
        super().__init__(household, seed, 1.0)
        self._loads = VaryingLoads(household.models, Random(seed))
        self.learned = LearnedLoads(self)

    def load(self, model: str, act: Callable[[], None]) -> None:
        """Load the model, and call `act` when it is ready."""
        self.waits.loads += 1
        load = self.learned.running[model] = self._loads.begin(model, self.now)
        self.after(load.seconds, act)


class AskingSparkd(Sparkd):
    """sparkd's scheduler, whose waiting requests ask for their forecasts."""

    def __init__(self, simulation: VaryingWeek) -> None:
        super().__init__(simulation, simulation.learned.last_load_time)
        self._loads = simulation.learned
        self._forecaster = Forecaster(self._scheduler, self._loads)
        self._questions: dict[int, list[Question]] = {}
        self.errors = Errors()

    def ask(self, model: str, grant: Granter, refuse: Refuser, claim: Claim = PLAIN_CLAIM) -> None:
        """A client asks for the model."""
        arrived = self._simulation.now
        questions: list[Question] = []

        def judge(done: Callable[[], None]) -> None:
            self._judge(arrived, questions)
            grant(done)

        before = set(self._clients)
        super().ask(model, judge, refuse, claim)
        for ticket in self._clients.keys() - before:
            for moment in MOMENTS:
                self._simulation.at(arrived + moment, partial(self._question, ticket, questions))

    def _become_healthy(self, model: str, run: int) -> None:
        entry = self._scheduler.entry(model)
        if entry and entry.run == run and entry.state is State.STARTING:  # otherwise the load was ended
            self._loads.record(model)
            super()._become_healthy(model, run)

    def _question(self, ticket: int, questions: list[Question]) -> None:
        if ticket not in self._clients:
            return
        now = self._simulation.now
        forecast = self._forecaster.forecast(ticket, now)
        if forecast is None or forecast.seconds is None:
            self.errors.unknown += 1
        else:
            questions.append(Question(now, forecast.stage, forecast.seconds))

    def _judge(self, arrived: float, questions: Sequence[Question]) -> None:
        now = self._simulation.now
        if now - arrived <= LEAST_WAIT:
            return
        for question in questions:
            truth = max(now - question.asked_at, 1.0)
            self.errors.by_stage[question.stage].append(abs(question.seconds - truth) / truth)


def measure(household: Household, seed: int) -> Errors:
    """Run one week; return the errors of its forecasts."""
    simulation = VaryingWeek(household, seed)
    asking = AskingSparkd(simulation)
    simulation.run(asking)
    return asking.errors


def describe(errors: Errors) -> str:
    """The median and the 90th percentile, in total and by stage, and the number of forecasts."""
    parts = [_figures("all", errors.all())]
    parts += [_figures(stage, sorted(values)) for stage, values in sorted(errors.by_stage.items())]
    return " · ".join([*parts, f"unknown {errors.unknown}"])


def _figures(name: str, values: Sequence[float]) -> str:
    if not values:
        return f"{name} -"
    return f"{name} {median(values):.0%} / {values[int(0.9 * len(values))]:.0%} ({len(values)})"


def main() -> int:
    """Print the errors of each household; return the exit status."""
    print("relative error of the seconds left: median / 90th percentile (forecasts)")
    for household in HOUSEHOLDS:
        if len(sys.argv) < 2 or household.name in sys.argv[1:]:
            print(f"{household.name}: {describe(measure(household, 1))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What a request for a model would do now: the scheduler's own decisions, in a simulation that gets the request."""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

from sparkd.scheduling.actions import Action, Grant, Kill, Launch, Refuse, Terminate
from sparkd.scheduling.lifecycle import State
from sparkd.scheduling.memory import Basis
from sparkd.scheduling.scheduler import Scheduler
from sparkd.scheduling.simulation import LoadTimes, Simulation

MAX_EVENTS: Final = 500
"""Events after which a plan gives up: the queue is too long to predict."""

Verdict = Literal["ready", "starting", "launch", "refused", "unknown"]


class Plan(Struct, frozen=True, kw_only=True):
    """What a request for `model` would do now.

    `verdict` is the model's state: "ready", "starting", "launch" (after the models of `launched_before` have run
    and those of `evicts` have stopped), or "refused" (`reason`). `seconds` is the time until its response, `load_time`
    the part of it for its own start; None if unknown. `footprint` is bytes, known from `basis`. `missing`: sentences
    about missing files or a missing runtime, which the scheduler does not check.
    """

    model: str
    verdict: Verdict
    footprint: int
    basis: Basis
    evicts: tuple[str, ...] = ()
    launched_before: tuple[str, ...] = ()
    seconds: float | None = None
    load_time: float | None = None
    reason: str = ""
    missing: tuple[str, ...] = ()


def make_plan(scheduler: Scheduler, model_id: str, now: float, times: LoadTimes) -> Plan:
    """Return what would happen. Does not change the scheduler."""
    return _Planner(scheduler, model_id, now, times).run()


class _Planner:
    """Follows one request through a simulation."""

    def __init__(self, scheduler: Scheduler, model_id: str, now: float, times: LoadTimes) -> None:
        self._simulation = Simulation(scheduler, now, times)
        self._scheduler = self._simulation.scheduler
        self._model_id = model_id
        self._started_at = now
        self._times = times
        self._evicts: list[str] = []
        self._launched_before: list[str] = []

    def run(self) -> Plan:
        """Send a request, and simulate events until its outcome is clear."""
        starting = (found := self._scheduler.entry(self._model_id)) and found.state is State.STARTING
        ticket, first = self._simulation.request(self._model_id)
        actions: list[Action] | None = first
        for _ in range(MAX_EVENTS):
            if actions is None:
                break
            for action in actions:
                if (outcome := self._outcome_of(action, ticket, starting=bool(starting))) is not None:
                    return outcome
            actions = self._simulation.advance()
        return self._build_plan("unknown", reason="too many requests are waiting before it")

    def _outcome_of(self, action: Action, ticket: int, *, starting: bool) -> Plan | None:
        match action:
            case Grant(number) if number == ticket:
                verdict: Verdict = "starting" if starting else "ready" if not self._seconds else "launch"
                return self._build_plan(verdict, seconds=self._seconds)
            case Refuse(number, error) if number == ticket:
                return self._build_plan("refused", reason=error.message)
            case Launch(model_id):
                if model_id == self._model_id:
                    return self._build_plan("launch", seconds=self._seconds_until_ready())
                self._launched_before.append(model_id)
            case Terminate(model_id) | Kill(model_id):
                self._evicts.append(model_id)
            case _:
                pass
        return None

    @property
    def _seconds(self) -> float:
        return self._simulation.now - self._started_at

    def _seconds_until_ready(self) -> float | None:
        known = self._known_load_time()
        return None if known is None else self._seconds + known

    def _known_load_time(self) -> float | None:
        entry = self._scheduler.entry(self._model_id)
        return (self._times.expected(entry.model) or entry.load_time or None) if entry else None

    def _build_plan(self, verdict: Verdict, *, seconds: float | None = None, reason: str = "") -> Plan:
        entry = self._scheduler.entry(self._model_id)
        return Plan(
            model=self._model_id,
            verdict=verdict,
            footprint=entry.footprint if entry else 0,
            basis=entry.basis if entry else "guessed",
            evicts=tuple(dict.fromkeys(self._evicts)),
            launched_before=tuple(dict.fromkeys(self._launched_before)),
            seconds=seconds,
            load_time=self._known_load_time(),
            reason=reason,
        )

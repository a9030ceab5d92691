"""What a request for a model would do now: the scheduler's own decisions, on a copy of its ledger.

The copy gets a request, and then a simulation runs: responses end, starts succeed, terminated processes exit. So the
plan always agrees with what the scheduler does. Only its times are estimates, from what past runs taught.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, Literal

from msgspec import Struct

from sparkd.catalog.definitions import Model
from sparkd.scheduling.actions import Action, Grant, Kill, Launch, Refuse, Terminate
from sparkd.scheduling.ledger import Entry
from sparkd.scheduling.lifecycle import State
from sparkd.scheduling.memory import Basis
from sparkd.scheduling.residency import ASSUMED_LOAD_TIME
from sparkd.scheduling.scheduler import Scheduler

ASSUMED_STOP_TIME: Final = 2.0
"""Seconds that a process is assumed to take to exit and free its memory."""

ASSUMED_ANSWER_TIME: Final = 5.0
"""Seconds that a request is assumed to take on a model without earlier requests."""

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


def make_plan(
    scheduler: Scheduler, model_id: str, now: float, load_time: Callable[[Model], float | None]
) -> Plan:
    """Return what would happen. Does not change the scheduler. `load_time` returns a learned time in seconds."""
    return _Simulation(scheduler.copy(), model_id, now, load_time).run()


class _Simulation:
    """A simulation on a copy of the scheduler."""

    def __init__(
        self, scheduler: Scheduler, model_id: str, now: float, load_time: Callable[[Model], float | None]
    ) -> None:
        self._scheduler = scheduler
        self._model_id = model_id
        self._started_at = self._now = now
        self._load_time = load_time
        self._evicts: list[str] = []
        self._launched_before: list[str] = []

    def run(self) -> Plan:
        """Send a request, and simulate events until its outcome is clear."""
        starting = (found := self._scheduler.entry(self._model_id)) and found.state is State.STARTING
        ticket, actions = self._scheduler.on_request(self._model_id, self._now)
        for _ in range(MAX_EVENTS):
            for action in actions:
                if (outcome := self._outcome_of(action, ticket, starting=bool(starting))) is not None:
                    return outcome
            actions = self._advance()
        return self._build_plan("unknown", reason="too many requests are waiting before it")

    def _outcome_of(self, action: Action, ticket: int, *, starting: bool) -> Plan | None:
        match action:
            case Grant(number) if number == ticket:
                verdict: Verdict = (
                    "starting" if starting else "ready" if self._now == self._started_at else "launch"
                )
                return self._build_plan(verdict, seconds=self._now - self._started_at)
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

    def _seconds_until_ready(self) -> float | None:
        known = self._known_load_time()
        return None if known is None else self._now - self._started_at + known

    def _known_load_time(self) -> float | None:
        entry = self._scheduler.entry(self._model_id)
        return (entry.load_time or self._load_time(entry.model)) if entry else None

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

    def _advance(self) -> list[Action]:
        """Simulate the next event, and return its actions."""
        at, apply = min(self._upcoming_events(), key=lambda event: event[0])
        self._now = max(self._now, at)
        return apply()

    def _upcoming_events(self) -> Iterator[tuple[float, Callable[[], list[Action]]]]:
        """All events that may come next, with their times."""
        scheduler = self._scheduler
        yield scheduler.deadline, lambda: scheduler.on_tick(self._now)
        if scheduler.is_ending_launchers:
            yield self._now, self._finish_launchers
        for entry in scheduler.entries():
            if entry.state is State.STARTING:
                load = entry.load_time or self._load_time(entry.model) or ASSUMED_LOAD_TIME
                yield entry.since + load, lambda entry=entry: self._finish_start(entry)  # type: ignore[misc]
            for ticket, granted in entry.leases.items():
                end = granted + (entry.answer_time or ASSUMED_ANSWER_TIME)
                yield end, lambda ticket=ticket: scheduler.on_leave(ticket, self._now)  # type: ignore[misc]
            if entry.has_process and entry.state in (State.STOPPING, State.BACKOFF):
                yield entry.since + ASSUMED_STOP_TIME, lambda entry=entry: self._finish_stop(entry)  # type: ignore[misc]

    def _finish_start(self, entry: Entry) -> list[Action]:
        return self._scheduler.on_healthy(entry.model.id, entry.run, self._now)

    def _finish_launchers(self) -> list[Action]:
        scheduler = self._scheduler
        if scheduler.available is not None:
            scheduler.available += scheduler.budget.launchers
        return scheduler.on_launchers(0, self._now)

    def _finish_stop(self, entry: Entry) -> list[Action]:
        """Its process exits, and its memory is free again."""
        scheduler, now = self._scheduler, self._now
        actions = scheduler.on_exited(entry.model.id, entry.run, entry.cause, now)
        if scheduler.available is not None:
            scheduler.available += entry.footprint
        return [*actions, *scheduler.on_reclaimed(entry.model.id, entry.run, now)]

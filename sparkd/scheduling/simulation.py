"""What happens next, on a copy of the scheduler: responses end, starts succeed, terminated processes exit.

So what it says about the order always agrees with what the scheduler does. Only its times are estimates, from what past
runs taught. It takes time in proportion to its events, and changes nothing outside itself.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count
from statistics import median
from typing import Final, Protocol

from sparkd.catalog.definitions import Model
from sparkd.scheduling.actions import Action, EndLaunchers, Grant, Kill, Launch, Terminate
from sparkd.scheduling.ledger import NEVER, Entry
from sparkd.scheduling.lifecycle import LifecycleError, State
from sparkd.scheduling.residency import ASSUMED_LOAD_TIME
from sparkd.scheduling.scheduler import Scheduler

ASSUMED_STOP_TIME: Final = 2.0
"""Seconds that a process is assumed to take to exit and free its memory, before any has done so."""

ASSUMED_ANSWER_TIME: Final = 5.0
"""Seconds that a request is assumed to take on a model without earlier requests."""

LEAST_REST: Final = 0.25
"""Share of its usual time that something is assumed to take yet, however long it has taken."""


class LoadTimes(Protocol):
    """How long models take to load, from what past loads taught. Seconds; None if nothing is known."""

    def expected(self, model: Model) -> float | None:
        """The time that the next load of the model takes."""
        ...

    def left(self, entry: Entry, now: float) -> float | None:
        """The time until a model that loads now is ready."""
        ...


class Simulation:
    """A copy of the scheduler, and what happens to it. `now` is the time of the simulation."""

    def __init__(self, scheduler: Scheduler, now: float, times: LoadTimes) -> None:
        self.scheduler = scheduler.copy()
        self.now = now
        self._times = times
        self._events: list[tuple[float, int, Callable[[], list[Action]]]] = []
        self._numbers = count()
        known = [entry.stop_time for entry in scheduler.entries() if entry.stop_time]
        self._usual_stop_time = median(known) if known else ASSUMED_STOP_TIME
        self._session_ends: dict[str, float] = {}
        for entry in self.scheduler.entries():
            self._schedule_entry(entry)
        if self.scheduler.is_ending_launchers:
            self._at(now, self._finish_launchers)

    def request(self, model_id: str) -> tuple[int, list[Action]]:
        """A client requests the model; return its ticket and the actions."""
        ticket, actions = self.scheduler.on_request(model_id, self.now)
        self._schedule(actions)
        return ticket, actions

    def advance(self) -> list[Action] | None:
        """Simulate the next event; return its actions, None if nothing happens any more."""
        at = self._events[0][0] if self._events else NEVER
        if min(at, self.scheduler.deadline) == NEVER:
            return None
        if at <= self.scheduler.deadline:
            _, _, apply = heapq.heappop(self._events)
            self.now = max(self.now, at)
            actions = apply()
        else:
            self.now = max(self.now, self.scheduler.deadline)
            actions = self.scheduler.on_tick(self.now)
        self._schedule(actions)
        return actions

    def _at(self, time: float, apply: Callable[[], list[Action]]) -> None:
        heapq.heappush(self._events, (time, next(self._numbers), apply))

    def _schedule_entry(self, entry: Entry) -> None:
        """Schedule what is under way for a model."""
        model_id, run = entry.model.id, entry.run
        if entry.state is State.STARTING:
            left = self._times.left(entry, self.now)
            end = entry.since + ASSUMED_LOAD_TIME if left is None else self.now + left
            self._at(end, lambda: self._finish_start(model_id, run))
        elif entry.has_process and entry.state in (State.STOPPING, State.BACKOFF):
            self._at(entry.since + self._stop_time(entry), lambda: self._finish_stop(model_id, run))
        if entry.state is State.READY:
            self._session_ends[model_id] = self.now + entry.sessions.expected_rest(self.now)
            if entry.is_idle:
                self._continue_session(entry, entry.last_used)
        usual = entry.answer_time or ASSUMED_ANSWER_TIME
        for ticket, granted in entry.leases.items():
            self._at(
                max(granted + usual, self.now + LEAST_REST * usual),
                lambda ticket=ticket: self._finish_response(model_id, ticket),  # type: ignore[misc]
            )

    def _schedule(self, actions: list[Action]) -> None:
        """Schedule what follows from these actions."""
        for action in actions:
            match action:
                case Launch(model_id, run):
                    load = self._expected(self._require_entry(model_id))
                    self._at(self.now + load, lambda m=model_id, r=run: self._finish_start(m, r))  # type: ignore[misc]
                case Terminate(model_id, run) | Kill(model_id, run):
                    stop = self._stop_time(self._require_entry(model_id))
                    self._at(self.now + stop, lambda m=model_id, r=run: self._finish_stop(m, r))  # type: ignore[misc]
                case Grant(ticket, model_id):
                    usual = self._require_entry(model_id).answer_time or ASSUMED_ANSWER_TIME
                    self._at(self.now + usual, lambda m=model_id, t=ticket: self._finish_response(m, t))  # type: ignore[misc]
                case EndLaunchers():
                    self._at(self.now, self._finish_launchers)
                case _:
                    pass

    def _expected(self, entry: Entry) -> float:
        return self._times.expected(entry.model) or entry.load_time or ASSUMED_LOAD_TIME

    def _stop_time(self, entry: Entry) -> float:
        return entry.stop_time or self._usual_stop_time

    def _require_entry(self, model_id: str) -> Entry:
        entry = self.scheduler.entry(model_id)
        if entry is None:
            raise LifecycleError(f"an action is about {model_id}, which is not in the ledger")
        return entry

    def _finish_start(self, model_id: str, run: int) -> list[Action]:
        entry = self.scheduler.entry(model_id)
        if entry is None or entry.run != run or entry.state is not State.STARTING:
            return []
        self._session_ends[model_id] = self.now + entry.sessions.expected_rest(None)
        return self.scheduler.on_healthy(model_id, run, self.now)

    def _finish_response(self, model_id: str, ticket: int) -> list[Action]:
        entry = self.scheduler.entry(model_id)
        if entry is None or ticket not in entry.leases:
            return []  # its run has ended, perhaps because the model was removed from the catalogue
        self._continue_session(entry, self.now)
        return self.scheduler.on_leave(ticket, self.now)

    def _continue_session(self, entry: Entry, ended_at: float) -> None:
        """Schedule the request that follows one that ended then, if the model's session probably continues."""
        model_id, pause = entry.model.id, entry.sessions.usual_pause()
        next_request = ended_at + (pause or 0.0)
        if pause is not None and self.now <= next_request < self._session_ends.get(model_id, 0.0):
            self._at(next_request, lambda: self.scheduler.on_request(model_id, self.now)[1])

    def _finish_launchers(self) -> list[Action]:
        scheduler = self.scheduler
        if scheduler.available is not None:
            scheduler.available += scheduler.budget.launchers
        return scheduler.on_launchers(0, self.now)

    def _finish_stop(self, model_id: str, run: int) -> list[Action]:
        """Its process exits, and its memory is free again."""
        scheduler, entry = self.scheduler, self.scheduler.entry(model_id)
        if entry is None or entry.run != run or not entry.has_process:
            return []  # it was terminated twice
        actions = scheduler.on_exited(model_id, run, entry.cause, self.now)
        if scheduler.available is not None:
            scheduler.available += entry.footprint
        return [*actions, *scheduler.on_reclaimed(model_id, run, self.now)]

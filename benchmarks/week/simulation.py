"""Simulated time: sessions ask, a contestant grants, and every wait is recorded. Seconds throughout."""

from __future__ import annotations

import heapq
from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import count
from typing import Protocol

from benchmarks.week.households import Household, Request
from sparkd.scheduling.claim import Claim

STOP_TIME = 4.0
"""From SIGTERM until the last process of an engine has exited."""

RECLAIM_TIME = 10.0
"""From there until its memory is free again."""

RETRY_PAUSE = 60.0
"""After a refusal, the client continues with its next request after this time."""


class Contestant(Protocol):
    """Rules that decide which models are in memory."""

    def ask(
        self,
        model: str,
        grant: Callable[[Callable[[], None]], None],
        refuse: Callable[[], None],
        claim: Claim,
    ) -> None:
        """A client asks for the model. Call `grant` with what to call when its response is complete, or `refuse`."""


@dataclass
class Waits:
    """How long requests waited, by kind of session; the number of loads and of refusals."""

    by_kind: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    loads: int = 0
    refusals: int = 0

    def all(self) -> list[float]:
        """All waits, the shortest first."""
        return sorted(wait for waits in self.by_kind.values() for wait in waits)


class Simulation:
    """One week of one household. `load_factor` is what the loads take of their cold times."""

    def __init__(self, household: Household, seed: int, load_factor: float) -> None:
        self.household = household
        self.now = 0.0
        self.waits = Waits()
        self._load_factor = load_factor
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._number = count()
        self._sessions = household.week(seed)
        self._open: dict[int, deque[Request]] = {}

    def run(self, contestant: Contestant) -> Waits:
        """Let all sessions ask the contestant; return their waits."""
        for session in self._sessions:
            for client in range(session.parallel):
                requests = deque(session.requests[client :: session.parallel])
                self.at(session.start, self._step(requests, session.kind, contestant))
        while self._events:
            self.now, _, act = heapq.heappop(self._events)
            act()
        return self.waits

    def at(self, time: float, act: Callable[[], None]) -> None:
        """Call `act` at that time."""
        heapq.heappush(self._events, (time, next(self._number), act))

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        """Call `act` in so many seconds."""
        self.at(self.now + seconds, act)

    def load_time(self, model: str) -> float:
        """The seconds that a load of the model takes."""
        return self.household.models[model].load * self._load_factor

    def load(self, model: str, act: Callable[[], None]) -> None:
        """Load the model, and call `act` when it is ready."""
        self.waits.loads += 1
        self.after(self.load_time(model), act)

    def rest_of_sessions(self, model: str) -> float:
        """How long the sessions that have begun will use the model yet, if no request waits."""
        return max((_time_with(model, requests) for requests in self._open.values()), default=0.0)

    def _step(self, requests: deque[Request], kind: str, contestant: Contestant) -> Callable[[], None]:
        """One client's next request, and then those that follow it."""

        def ask() -> None:
            self._open[id(requests)] = requests
            if not requests:
                del self._open[id(requests)]
                return
            request, asked = requests[0], self.now

            def grant(done: Callable[[], None]) -> None:
                self.waits.by_kind[kind].append(self.now - asked)

                def finish() -> None:
                    requests.popleft()
                    done()
                    self.after(request.pause, ask)

                self.after(request.service, finish)

            def refuse() -> None:
                self.waits.by_kind[kind].append(self.now - asked)
                self.waits.refusals += 1
                requests.popleft()
                self.after(RETRY_PAUSE, ask)

            contestant.ask(request.model, grant, refuse, request.claim)

        return ask


def _time_with(model: str, requests: Iterable[Request]) -> float:
    """The time from the first of these requests to the end of the last one for the model."""
    total = last = 0.0
    for request in requests:
        total += request.service
        if request.model == model:
            last = total
        total += request.pause
    return last

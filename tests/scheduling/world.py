"""A harness in which time alone completes everything: loads, responses, exits, and the release of memory."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

from sparkd.scheduling.actions import Action, Grant, Launch, Terminate
from tests.scheduling.harness import Harness

STOP_TIME = 4.0
RECLAIM_TIME = 6.0


@dataclass
class World(Harness):
    """`load` and `service` are seconds of each load and of each response; `finished` is called after a response."""

    load: float = 60.0
    service: float = 10.0
    finished: Callable[[int, str], object] = lambda _ticket, _model: None
    events: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    numbers: count[int] = field(default_factory=count)

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        heapq.heappush(self.events, (self.now + seconds, next(self.numbers), act))

    def pass_time(self, seconds: float) -> None:
        """Let so many seconds pass, with all that happens in them."""
        end = self.now + seconds
        while (at := min(self.events[0][0] if self.events else end, self.scheduler.deadline)) < end:
            self.now = at
            if self.events and self.events[0][0] == at:
                heapq.heappop(self.events)[2]()
            else:
                self.apply(self.scheduler.on_tick(at))
        self.now = end

    def apply(self, actions: list[Action]) -> None:
        super().apply(actions)
        for action in actions:
            match action:
                case Launch(model, _):
                    self.after(self.load, lambda model=model: self.become_healthy(model))  # type: ignore[misc]
                case Terminate(model, _, _):
                    self.after(STOP_TIME, lambda model=model: self.exit(model))  # type: ignore[misc]
                    self.after(STOP_TIME + RECLAIM_TIME, lambda model=model: self.reclaim(model))  # type: ignore[misc]
                case Grant(ticket, model, _):
                    self.after(self.service, lambda ticket=ticket, model=model: self.finish(ticket, model))  # type: ignore[misc]
                case _:
                    pass

    def finish(self, ticket: int, model: str) -> None:
        self.leave(ticket)
        self.finished(ticket, model)

"""What would happen if somebody asked for a model now: the scheduler's own decisions, on a copy of its books.

The copy is asked, and then lives on in a world that behaves: answers end, starts succeed, who is told to go goes. So
the plan cannot disagree with what is done; only its seconds are guesses, made from what was learned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, Literal

from msgspec import Struct

from sparkd.catalog.definitions import Model
from sparkd.scheduling.actions import Action, Grant, Kill, Launch, Refuse, Terminate
from sparkd.scheduling.books import Entry
from sparkd.scheduling.lifecycle import State
from sparkd.scheduling.memory import Basis
from sparkd.scheduling.refusals import UNKNOWN_LOAD_TIME
from sparkd.scheduling.scheduler import Scheduler

STOPPING: Final = 2.0
"""Seconds a process is believed to need to be gone, its memory back."""

ANSWERING: Final = 5.0
"""Seconds a request is believed to take on a model that has not answered any yet."""

LONGEST: Final = 500
"""Events after which a plan gives up: the queue before it is too long to be foretold."""

Verdict = Literal["ready", "starting", "launch", "refused", "unknown"]


class Plan(Struct, frozen=True, kw_only=True):
    """What asking for `model` now would lead to.

    "ready" and "starting": it is, or is about to be. "launch": it would be launched, once those of `evicts` are gone
    and those of `before` had their turn. "refused": `why`. `seconds` is how long until it answers, `load_time` how much
    of that is its own start; None where nothing is known. `footprint` (bytes) rests on `basis`. `lacks`: what it
    cannot start without and the scheduler knows nothing of, in sentences.
    """

    model: str
    verdict: Verdict
    footprint: int
    basis: Basis
    evicts: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    seconds: float | None = None
    load_time: float | None = None
    why: str = ""
    lacks: tuple[str, ...] = ()


def plan(scheduler: Scheduler, model_id: str, now: float, load_time: Callable[[Model], float | None]) -> Plan:
    """Return what would happen. The scheduler itself is not touched. `load_time` is what was learned, in seconds."""
    return _World(scheduler.copy(), model_id, now, load_time).play()


class _World:
    """A copy of the books, and what happens to it."""

    def __init__(
        self, books: Scheduler, model_id: str, now: float, load_time: Callable[[Model], float | None]
    ) -> None:
        self._scheduler = books
        self._model_id = model_id
        self._begun = self._now = now
        self._load_time = load_time
        self._evicts: list[str] = []
        self._before: list[str] = []

    def play(self) -> Plan:
        """Ask, and let things happen until it is clear what becomes of it."""
        starting = (found := self._scheduler.entry(self._model_id)) and found.state is State.STARTING
        ticket, actions = self._scheduler.on_request(self._model_id, self._now)
        for _ in range(LONGEST):
            for action in actions:
                if (told := self._told(action, ticket, starting=bool(starting))) is not None:
                    return told
            actions = self._go_on()
        return self._plan("unknown", why="too many requests wait before it")

    def _told(self, action: Action, ticket: int, *, starting: bool) -> Plan | None:
        match action:
            case Grant(number) if number == ticket:
                verdict: Verdict = (
                    "starting" if starting else "ready" if self._now == self._begun else "launch"
                )
                return self._plan(verdict, seconds=self._now - self._begun)
            case Refuse(number, error) if number == ticket:
                return self._plan("refused", why=error.message)
            case Launch(model_id):
                if model_id == self._model_id:
                    return self._plan("launch", seconds=self._seconds())
                self._before.append(model_id)
            case Terminate(model_id) | Kill(model_id):
                self._evicts.append(model_id)
            case _:
                pass
        return None

    def _seconds(self) -> float | None:
        known = self._known_load_time()
        return None if known is None else self._now - self._begun + known

    def _known_load_time(self) -> float | None:
        entry = self._scheduler.entry(self._model_id)
        return (entry.load_time or self._load_time(entry.model)) if entry else None

    def _plan(self, verdict: Verdict, *, seconds: float | None = None, why: str = "") -> Plan:
        entry = self._scheduler.entry(self._model_id)
        return Plan(
            model=self._model_id,
            verdict=verdict,
            footprint=entry.footprint if entry else 0,
            basis=entry.basis if entry else "guessed",
            evicts=tuple(dict.fromkeys(self._evicts)),
            before=tuple(dict.fromkeys(self._before)),
            seconds=seconds,
            load_time=self._known_load_time(),
            why=why,
        )

    def _go_on(self) -> list[Action]:
        """Let the next thing happen, and return what follows."""
        at, happen = min(self._coming(), key=lambda coming: coming[0])
        self._now = max(self._now, at)
        return happen()

    def _coming(self) -> Iterator[tuple[float, Callable[[], list[Action]]]]:
        """Everything that would happen next, and when."""
        scheduler = self._scheduler
        yield scheduler.deadline, lambda: scheduler.on_tick(self._now)
        for entry in scheduler.entries():
            if entry.state is State.STARTING:
                load = entry.load_time or self._load_time(entry.model) or UNKNOWN_LOAD_TIME
                yield entry.since + load, lambda entry=entry: self._gets_ready(entry)  # type: ignore[misc]
            for ticket, granted in entry.leases.items():
                end = granted + (entry.answer_time or ANSWERING)
                yield end, lambda ticket=ticket: scheduler.on_leave(ticket, self._now)  # type: ignore[misc]
            if entry.process and entry.state in (State.STOPPING, State.BACKOFF):
                yield entry.since + STOPPING, lambda entry=entry: self._goes(entry)  # type: ignore[misc]

    def _gets_ready(self, entry: Entry) -> list[Action]:
        return self._scheduler.on_healthy(entry.model.id, entry.run, self._now)

    def _goes(self, entry: Entry) -> list[Action]:
        """Its process ends, and what it held is back."""
        scheduler, now = self._scheduler, self._now
        actions = scheduler.on_exited(entry.model.id, entry.run, entry.cause, now)
        if scheduler.available is not None:
            scheduler.available += entry.footprint
        return [*actions, *scheduler.on_reclaimed(entry.model.id, entry.run, now)]

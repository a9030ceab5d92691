"""The rules that are compared: sparkd's own scheduler, and those of llama-swap and Ollama, restated."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from functools import partial

from benchmarks.week.simulation import RECLAIM_TIME, STOP_TIME, Simulation
from sparkd.catalog.definitions import Model
from sparkd.catalog.quantities import GIB
from sparkd.catalog.settings import Defaults, Settings
from sparkd.scheduling.actions import Action, Grant, Launch, Refuse, Terminate
from sparkd.scheduling.claim import PLAIN_CLAIM, Claim
from sparkd.scheduling.ledger import NEVER
from sparkd.scheduling.memory import compute_budget, estimate_footprint
from sparkd.scheduling.scheduler import Scheduler
from sparkd.scheduling.sessions import LIKELY, Sessions

Granter = Callable[[Callable[[], None]], None]
Refuser = Callable[[], None]

OLLAMA_KEEPS = 300.0
"""Seconds that Ollama keeps a model after its last request."""


class Sparkd:
    """sparkd's scheduler, driven as its supervisor does, with the catalogue's default settings."""

    def __init__(
        self, simulation: Simulation, load_time: Callable[[Model], float | None] | None = None
    ) -> None:
        """`load_time`: what the daemon knows about a model's last load; by default what the next one will take."""
        self._simulation = simulation
        defaults = {name: getattr(Defaults(), name) for name in Defaults.__struct_fields__}
        models = {
            name: Model(
                id=name,
                engine="command",
                memory=int(model.memory * GIB),
                lifecycle=model.lifecycle,
                **defaults,
            )
            for name, model in simulation.household.models.items()
        }
        budget = compute_budget(
            models.values(), int(simulation.household.budget * GIB), 0, implied=lambda _: None
        )
        self._scheduler = Scheduler(
            models,
            budget=budget,
            footprint=lambda model, budget: estimate_footprint(model, budget, lambda _: None),
            settings=Settings(),
            load_time=load_time or (lambda model: simulation.load_time(model.id)),
        )
        self._clients: dict[int, tuple[Granter, Refuser]] = {}
        self._next_tick = NEVER

    def ask(self, model: str, grant: Granter, refuse: Refuser, claim: Claim = PLAIN_CLAIM) -> None:
        """A client asks for the model."""
        ticket, actions = self._scheduler.on_request(model, self._simulation.now, claim)
        self._clients[ticket] = grant, refuse
        self._carry_out(actions)

    def _carry_out(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Grant(ticket):
                    grant, _ = self._clients.pop(ticket)
                    grant(partial(self._leave, ticket))
                case Refuse(ticket):
                    _, refuse = self._clients.pop(ticket)
                    refuse()
                case Launch(model, run):
                    self._simulation.load(model, partial(self._become_healthy, model, run))
                case Terminate(model, run):
                    self._simulation.after(STOP_TIME, partial(self._exit, model, run))
        deadline = max(self._scheduler.deadline, self._simulation.now)
        if deadline < self._next_tick:
            self._next_tick = deadline
            self._simulation.at(deadline, partial(self._tick, deadline))

    def _tick(self, deadline: float) -> None:
        if deadline == self._next_tick:
            self._next_tick = NEVER
            self._carry_out(self._scheduler.on_tick(self._simulation.now))

    def _leave(self, ticket: int) -> None:
        self._carry_out(self._scheduler.on_leave(ticket, self._simulation.now))

    def _become_healthy(self, model: str, run: int) -> None:
        self._carry_out(self._scheduler.on_healthy(model, run, self._simulation.now))

    def _exit(self, model: str, run: int) -> None:
        self._carry_out(self._scheduler.on_exited(model, run, "", self._simulation.now))
        self._simulation.after(RECLAIM_TIME, partial(self._reclaim, model, run))

    def _reclaim(self, model: str, run: int) -> None:
        self._carry_out(self._scheduler.on_reclaimed(model, run, self._simulation.now))


class KnownSessions(Sessions, kw_only=True):
    """What a prophet knows about a model's sessions."""

    rest: Callable[[], float]

    def expected_pause(self, likely: float = LIKELY) -> float:  # noqa: ARG002 - certain
        """Forever while a session has requests left, otherwise not at all."""
        return NEVER if self.rest() else 0.0

    def expected_rest(self, now: float | None) -> float:  # noqa: ARG002 - known without a clock
        """Exactly what is left."""
        return self.rest()


class Prophet(Sparkd):
    """sparkd's scheduler, but it knows how long each session that has begun will last."""

    def ask(self, model: str, grant: Granter, refuse: Refuser, claim: Claim = PLAIN_CLAIM) -> None:
        """A client asks for the model."""
        if (entry := self._scheduler.entry(model)) and not isinstance(entry.sessions, KnownSessions):
            entry.sessions = KnownSessions(rest=partial(self._simulation.rest_of_sessions, model))
        super().ask(model, grant, refuse, claim)


class LlamaSwap:
    """One main model at a time beside a utility model; first in, first out; a model drains before the swap."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._queue: deque[tuple[str, Granter]] = deque()
        self._main: str | None = None
        self._ready: set[str] = set()
        self._busy = 0
        self._utility_queue: list[Granter] = []

    def ask(self, model: str, grant: Granter, refuse: Refuser, claim: Claim = PLAIN_CLAIM) -> None:  # noqa: ARG002 - first in, first out
        """A client asks for the model."""
        if self._simulation.household.models[model].lifecycle == "normal":
            self._queue.append((model, grant))
            self._advance()
        elif model in self._ready:
            grant(lambda: None)
        else:
            self._utility_queue.append(grant)
            if len(self._utility_queue) == 1:
                self._simulation.load(model, partial(self._start_utility, model))

    def _start_utility(self, model: str) -> None:
        self._ready.add(model)
        for grant in self._utility_queue:
            grant(lambda: None)

    def _advance(self) -> None:
        while self._queue:
            model, grant = self._queue[0]
            if model == self._main:
                if model not in self._ready:
                    return
                self._queue.popleft()
                self._busy += 1
                grant(self._finish)
                continue
            if self._busy or (self._main and self._main not in self._ready):
                return
            pause = STOP_TIME + RECLAIM_TIME if self._main else 0.0
            self._main = model
            self._ready.discard(model)
            self._simulation.after(
                pause, partial(self._simulation.load, model, partial(self._start_main, model))
            )
            return

    def _start_main(self, model: str) -> None:
        self._ready.add(model)
        self._advance()

    def _finish(self) -> None:
        self._busy -= 1
        self._advance()


class Ollama:
    """As many models as fit; the idle least recently used one leaves; loaded ones are served past the queue."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._models = simulation.household.models
        self._queue: deque[tuple[str, Granter]] = deque()
        self._used_at: dict[str, float] = {}
        self._busy: Counter[str] = Counter()
        self._loading: str | None = None
        self._is_freeing = False

    def ask(self, model: str, grant: Granter, refuse: Refuser, claim: Claim = PLAIN_CLAIM) -> None:  # noqa: ARG002 - first in, first out
        """A client asks for the model."""
        if model in self._used_at:
            self._serve(model, grant)
        else:
            self._queue.append((model, grant))
            self._advance()

    def _serve(self, model: str, grant: Granter) -> None:
        self._busy[model] += 1
        self._used_at[model] = self._simulation.now
        grant(partial(self._finish, model))

    def _finish(self, model: str) -> None:
        self._busy[model] -= 1
        self._used_at[model] = now = self._simulation.now
        self._simulation.after(OLLAMA_KEEPS, partial(self._expire, model, now))
        self._advance()

    def _expire(self, model: str, used_at: float) -> None:
        if self._used_at.get(model) == used_at and not self._busy[model]:
            del self._used_at[model]
            self._advance()

    def _advance(self) -> None:
        for model, grant in [each for each in self._queue if each[0] in self._used_at]:
            self._queue.remove((model, grant))
            self._serve(model, grant)
        if not self._queue or self._loading or self._is_freeing:
            return
        model = self._queue[0][0]
        used = sum(self._models[name].memory for name in self._used_at)
        if used + self._models[model].memory <= self._simulation.household.budget:
            self._loading = model
            self._simulation.load(model, self._start)
        elif idle := [name for name in self._used_at if not self._busy[name]]:
            del self._used_at[min(idle, key=self._used_at.__getitem__)]
            self._is_freeing = True
            self._simulation.after(STOP_TIME + RECLAIM_TIME, self._free)

    def _free(self) -> None:
        self._is_freeing = False
        self._advance()

    def _start(self) -> None:
        assert self._loading is not None
        self._used_at[self._loading] = self._simulation.now
        self._loading = None
        self._advance()


CONTESTANTS: dict[str, Callable[[Simulation], Sparkd | LlamaSwap | Ollama]] = {
    "llama-swap": LlamaSwap,
    "Ollama": Ollama,
    "sparkd": Sparkd,
    "prophet": Prophet,
}

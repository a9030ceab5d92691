"""A scheduler with a clock of its own, and a world in which what it asks for comes true when a test says so."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from sparkd.catalog.definitions import Model
from sparkd.catalog.settings import Failures, Memory, Queue, Settings
from sparkd.errors import Refusal
from sparkd.scheduling.actions import (
    Action,
    Discard,
    EndLaunchers,
    Grant,
    Kill,
    Launch,
    Prepare,
    Refuse,
    Terminate,
)
from sparkd.scheduling.claim import PLAIN_CLAIM, Claim
from sparkd.scheduling.hold import Hold
from sparkd.scheduling.ledger import Entry
from sparkd.scheduling.lifecycle import State
from sparkd.scheduling.memory import compute_budget, estimate_footprint
from sparkd.scheduling.scheduler import Scheduler
from sparkd.scheduling.status import LoadStep


def a_model(id_: str, memory: int | None = 40, **fields: Any) -> Model:
    """A model whose times are round numbers of seconds."""
    times = {
        "idle_timeout": 1200.0,
        "start_timeout": 900.0,
        "stop_grace": 10.0,
        "drain_timeout": 300.0,
        "min_residency": 30.0,
        "download": "reject",
    }
    return Model(id=id_, engine="command", command=("engine",), memory=memory, **{**times, **fields})


@dataclass(frozen=True)
class FixedLoads:
    """Every load takes that many seconds; None if nobody knows. Nothing is known of its steps."""

    seconds: float | None

    def expected(self, model: Model) -> float | None:  # noqa: ARG002
        return self.seconds

    def left(self, entry: Entry, now: float) -> float | None:
        return None if self.seconds is None else max(0.0, entry.since + self.seconds - now)

    def step(self, entry: Entry) -> LoadStep | None:  # noqa: ARG002
        return None


@dataclass
class Process:
    """One launched process as the world sees it."""

    model: str
    run: int
    healthy: bool = False
    terminated: bool = False
    exited: bool = False


@dataclass
class Harness:
    """Everything a test of the scheduler needs to say."""

    models: tuple[Model, ...]
    total: int = 100
    queue: Queue = field(default_factory=Queue)
    failures: Failures = field(default_factory=Failures)
    now: float = 1000.0
    tickets: dict[int, str] = field(default_factory=dict)
    claims: dict[int, Claim] = field(default_factory=dict)
    granted: dict[int, int] = field(default_factory=dict)
    refused: dict[int, Refusal] = field(default_factory=dict)
    processes: dict[int, Process] = field(default_factory=dict)
    launches: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    kills: list[str] = field(default_factory=list)
    preparable: frozenset[str] = frozenset()
    prepared: dict[int, str] = field(default_factory=dict)
    preparations: list[str] = field(default_factory=list)
    ended_launchers: int = 0
    load_times: dict[str, float] = field(default_factory=dict)
    floor: int | None = None
    slots: int | None = None
    holds: int = 0
    held_at: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.scheduler = Scheduler(
            {model.id: model for model in self.models},
            **self.scheduler_arguments(),
            can_prepare=lambda model: model.id in self.preparable,
            load_time=lambda model: self.load_times.get(model.id),
        )

    def scheduler_arguments(self) -> dict[str, Any]:
        """What the scheduler decides by."""
        return {
            "budget": replace(compute_budget(self.models, self.total, 0, lambda _: None), slots=self.slots),
            "footprint": lambda model, budget: estimate_footprint(model, budget, lambda _: None),
            "settings": Settings(queue=self.queue, failures=self.failures, memory=Memory(floor=self.floor)),
        }

    # What clients, processes, the clock and the operator do

    def request(self, model: str, claim: Claim = PLAIN_CLAIM) -> int:
        """A client asks; return its ticket."""
        ticket, actions = self.scheduler.on_request(model, self.now, claim)
        self.tickets[ticket] = model
        self.claims[ticket] = claim
        self.apply(actions)
        return ticket

    def leave(self, ticket: int) -> None:
        """The answer is complete, or the client has gone."""
        self.granted.pop(ticket, None)
        del self.tickets[ticket]
        self.apply(self.scheduler.on_leave(ticket, self.now))

    def become_healthy(self, model: str) -> None:
        process = self.process(model)
        process.healthy = True
        self.apply(self.scheduler.on_healthy(model, process.run, self.now))

    def exit(self, model: str, cause: str = "It crashed.", *, forgiven: bool = False) -> None:
        process = self.process(model)
        process.exited = True
        self.apply(self.scheduler.on_exited(model, process.run, cause, self.now, forgiven=forgiven))

    def reclaim(self, model: str, missing: int = 0) -> None:
        process = self.process(model)
        del self.processes[process.run]
        self.apply(self.scheduler.on_reclaimed(model, process.run, self.now, missing=missing))

    def exit_and_reclaim(self, model: str) -> None:
        """The process exits and its memory is back."""
        self.exit(model)
        self.reclaim(model)

    def use_launchers(self, used: int) -> None:
        """All launchers together use that many bytes now."""
        self.apply(self.scheduler.on_launchers(used, self.now))

    def report_memory(self, available: int, after: float = 0.0) -> None:
        """The machine is looked at, `after` seconds later."""
        self.now += after
        self.apply(self.scheduler.on_memory(available, available, self.now))

    def wait(self, seconds: float) -> None:
        """Let time pass, with a tick at every deadline on the way, as the supervisor does."""
        end = self.now + seconds
        while (deadline := self.scheduler.deadline) <= end:
            assert deadline > self.now, "the scheduler wants to be woken in the past"
            self.now = deadline
            self.apply(self.scheduler.on_tick(self.now))
        self.now = end
        self.apply(self.scheduler.on_tick(self.now))

    def stop(self, model: str) -> None:
        self.apply(self.scheduler.on_stop(model, self.now))

    def unload(self, model: str) -> None:
        """An operator needs the model no longer."""
        self.apply(self.scheduler.on_unload(model, self.now))

    def serve(self) -> None:
        """sparkd serves from now on. Every model is on disk."""
        self.apply(self.scheduler.on_serving(lambda _: True, self.now))

    def replace_sparkd(self) -> bool:
        """Another sparkd takes over, once all responses are complete. Return whether it could."""
        for ticket in list(self.granted):
            self.leave(ticket)
        self.apply(self.scheduler.on_replacing(self.now))
        former = self.scheduler
        if not former.is_transferable:
            former.reopen()
            self.wait(0.0)
            return False
        for requests in (self.tickets, self.claims, self.granted, self.refused):
            requests.clear()
        self.__post_init__()
        self.scheduler.restore_places(former.snapshot_places())
        for entry in former.snapshot():
            self.apply(self.scheduler.on_held(entry, self.now))
        self.serve()
        return True

    def retry(self, model: str) -> None:
        self.apply(self.scheduler.on_retry(model, self.now))

    def reload(self, *models: Model, restart: tuple[str, ...] = ()) -> None:
        """The catalogue is read again and has these models; those in `restart` would be started differently now."""
        self.models = models
        found = {model.id: model for model in models}
        self.apply(self.scheduler.on_catalogue(found, restart, self.now, **self.scheduler_arguments()))

    def shut_down(self) -> None:
        self.apply(self.scheduler.on_shutdown(self.now))

    def hold(self, model: str, seconds: float, **fields: str) -> Hold:
        """Somebody keeps the model; its load is a request of its own."""
        number = self.holds = self.holds + 1
        hold = Hold(
            id=f"hold-{number}", model=model, ends=self.now + seconds, until=self.now + seconds, **fields
        )
        self.held_at[hold.id] = self.now
        self.apply(self.scheduler.on_hold(hold, self.now))
        return hold

    def release(self, hold: Hold) -> None:
        self.apply(self.scheduler.on_release(hold.id, self.now))

    # Shorthands

    def run(self, model: str) -> int:
        """A model is asked for, gets ready, and its answer is being written; return its ticket."""
        ticket = self.request(model)
        self.become_healthy(model)
        assert ticket in self.granted
        return ticket

    def run_and_finish(self, model: str) -> None:
        """A model is resident and idle."""
        self.leave(self.run(model))

    # What can be seen

    def state(self, model: str) -> State:
        entry = self.scheduler.entry(model)
        return entry.state if entry else State.STOPPED

    def process(self, model: str) -> Process:
        (found,) = [process for process in self.processes.values() if process.model == model]
        return found

    def is_waiting(self, ticket: int) -> bool:
        return ticket in self.tickets and ticket not in self.granted and ticket not in self.refused

    def apply(self, actions: list[Action]) -> None:
        """Let the scheduler's wishes come true in the world."""
        for action in actions:
            match action:
                case Prepare() | Discard():
                    self.change_preparation(action)
                case EndLaunchers():
                    self.ended_launchers += 1
                case Launch(model, run):
                    if run in self.prepared:
                        self.change_preparation(action)
                    self.launches.append(model)
                    self.processes[run] = Process(model, run)
                case Terminate(_, run, reason):
                    self.reasons.append(reason)
                    self.processes[run].terminated = True
                case Kill(model, run, reason):
                    self.kills.append(model)
                    self.reasons.append(reason)
                    self.processes[run].terminated = True
                case Grant(ticket, _, run):
                    self.granted[ticket] = run
                case Refuse(ticket, error):
                    self.refused[ticket] = error

    def change_preparation(self, action: Prepare | Discard | Launch) -> None:
        """Begin or end a preparation."""
        self.preparations.append(f"{type(action).__name__.lower()} {action.model}")
        if isinstance(action, Prepare):
            self.prepared[action.run] = action.model
        else:
            assert self.prepared.pop(action.run) == action.model

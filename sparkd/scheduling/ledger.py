"""The ledger: one entry for each model in use, one ticket for each request."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from copy import copy

from msgspec import Struct, field, structs

from sparkd.catalog.definitions import Model
from sparkd.scheduling.claim import PLAIN_CLAIM, Claim
from sparkd.scheduling.lifecycle import State
from sparkd.scheduling.memory import Basis
from sparkd.scheduling.sessions import Sessions

NEVER = float("inf")


class Ticket(Struct, frozen=True):
    """A request in the ledger. `arrived` and `deadline` are seconds of the caller's clock."""

    id: int
    model: str
    arrived: float
    deadline: float
    claim: Claim = PLAIN_CLAIM


class Preparation(Struct, frozen=True):
    """The model whose start has begun before its launch, and the number that its launch will have."""

    model: str
    run: int


class Entry(Struct, eq=False):
    """One model: the state of its process, the requests that wait for it, and the requests that use it.

    `footprint` is bytes and `basis` where that number comes from; other numbers are counts or seconds. `leases` has
    the tickets granted on the current run, with the time of each grant. `cause` is why the last process failed,
    `reason` why this one must stop. `killed`: the memory guard killed this run; `guard_kills`: how many runs it
    has killed. `withdrawn`: the model was removed from the catalogue, or disabled. `arrivals` is the sum of the times
    when the waiting requests arrived. `load_time`, `answer_time` and `stop_time` are what its last load, its requests
    and its last end took; 0 if unknown.
    """

    model: Model
    footprint: int
    basis: Basis
    state: State = State.STOPPED
    since: float = 0.0
    run: int = 0
    waiting: OrderedDict[int, Ticket] = field(default_factory=OrderedDict)
    leases: dict[int, float] = field(default_factory=dict)
    last_used: float = 0.0
    ready_at: float | None = None
    drain_deadline: float = NEVER
    urgent: bool = False
    has_process: bool = False
    failures: int = 0
    retry_at: float = 0.0
    cause: str = ""
    reason: str = ""
    load_time: float = 0.0
    answer_time: float = 0.0
    stop_time: float = 0.0
    killed: bool = False
    guard_kills: int = 0
    withdrawn: bool = False
    arrivals: float = 0.0
    sessions: Sessions = field(default_factory=Sessions)

    @property
    def is_resident(self) -> bool:
        """Whether it uses memory: from its launch until its memory is free again."""
        return self.has_process

    @property
    def is_utility(self) -> bool:
        """Whether it runs beside the main model, with its own lane in the queue."""
        return self.model.lifecycle == "utility"

    @property
    def is_idle(self) -> bool:
        """Whether it is ready and not in use."""
        return self.state is State.READY and not self.leases

    @property
    def is_quarantined(self) -> bool:
        """Whether it starts again only after `sparkctl retry`."""
        return self.state is State.BACKOFF and self.retry_at == NEVER

    @property
    def is_inactive(self) -> bool:
        """Whether nothing changes until a request for it arrives."""
        return self.state is State.STOPPED and not (self.waiting or self.failures)

    def copy(self) -> Entry:
        """An independent copy."""
        return structs.replace(
            self,
            waiting=self.waiting.copy(),
            leases=self.leases.copy(),
            sessions=structs.replace(self.sessions, pauses=self.sessions.pauses.copy()),
        )


class Ledger:
    """Entries and tickets. Only the scheduler changes them, without an await in between."""

    def __init__(self, max_wait: float) -> None:
        self.max_wait = max_wait
        self._last_ticket = 0
        self.active: dict[str, Entry] = {}
        self.inactive: dict[str, Entry] = {}
        self.queue: OrderedDict[int, Ticket] = OrderedDict()
        self.leases: dict[int, tuple[Entry, int]] = {}
        self.preparation: Preparation | None = None

    def copy(self) -> Ledger:
        """An independent copy. It shares what never changes: models and tickets."""
        twin = copy(self)
        entries = {id(entry): entry.copy() for entry in self.all_entries()}
        twin.active = {name: entries[id(entry)] for name, entry in self.active.items()}
        twin.inactive = {name: entries[id(entry)] for name, entry in self.inactive.items()}
        twin.queue = self.queue.copy()
        twin.leases = {ticket: (entries[id(entry)], run) for ticket, (entry, run) in self.leases.items()}
        return twin

    def all_entries(self) -> list[Entry]:
        """All entries, including inactive ones."""
        return [*self.active.values(), *self.inactive.values()]

    def deactivate(self, entry: Entry) -> None:
        """Make an entry inactive, so that decisions skip it. Its history is kept, unless the model is withdrawn."""
        del self.active[entry.model.id]
        if not entry.withdrawn:
            self.inactive[entry.model.id] = entry

    def set_max_wait(self, max_wait: float) -> None:
        """Set the longest wait of all tickets, in seconds, including those that wait already. The oldest one still
        expires first."""
        self.max_wait = max_wait
        for ticket in self.queue.values():
            extended = structs.replace(ticket, deadline=ticket.arrived + max_wait)
            self.queue[ticket.id] = self.active[ticket.model].waiting[ticket.id] = extended

    def enqueue(self, entry: Entry, now: float, claim: Claim = PLAIN_CLAIM) -> Ticket:
        """Add a new ticket at the end of the queue."""
        if not entry.leases and not entry.waiting and entry.last_used:
            entry.sessions.add_pause(entry.last_used, now, is_ready=entry.state is State.READY)
        self._last_ticket += 1
        ticket = Ticket(self._last_ticket, entry.model.id, now, now + self.max_wait, claim)
        self.queue[ticket.id] = ticket
        entry.waiting[ticket.id] = ticket
        entry.arrivals += now
        return ticket

    def dequeue(self, ticket_id: int) -> Entry:
        """Remove a waiting ticket and return its model's entry."""
        ticket = self.queue.pop(ticket_id)
        entry = self.active[ticket.model]
        del entry.waiting[ticket_id]
        entry.arrivals = entry.arrivals - ticket.arrived if entry.waiting else 0.0
        return entry

    def grant_lease(self, entry: Entry, ticket_id: int, now: float) -> None:
        """Turn a waiting ticket into a lease on the entry's current run."""
        self.dequeue(ticket_id)
        entry.leases[ticket_id] = now
        entry.sessions.clients = max(entry.sessions.clients, len(entry.leases))
        entry.last_used = now
        self.leases[ticket_id] = (entry, entry.run)

    def end_lease(self, ticket_id: int, now: float) -> Entry:
        """End a lease and return its model's entry. A lease on an earlier run does not change the current one."""
        entry, run = self.leases.pop(ticket_id)
        if run != entry.run or ticket_id not in entry.leases:
            return entry
        duration = now - entry.leases.pop(ticket_id)
        entry.answer_time = duration if not entry.answer_time else 0.8 * entry.answer_time + 0.2 * duration
        entry.last_used = now
        return entry

    def waiting_models(self) -> list[Entry]:
        """Entries of stopped models that requests wait for, the one with the oldest request first."""
        waiting = [entry for entry in self.active.values() if entry.waiting and entry.state is State.STOPPED]
        return sorted(waiting, key=lambda entry: next(iter(entry.waiting)))

    def residents(self) -> Iterator[Entry]:
        """Entries that use memory."""
        return (entry for entry in self.active.values() if entry.is_resident)

    def total_reserved(self) -> int:
        """Bytes reserved for all resident models."""
        return sum(entry.footprint for entry in self.residents())

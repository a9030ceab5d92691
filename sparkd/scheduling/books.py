"""The books: one entry per model that matters right now, one ticket per request."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field

from msgspec import Struct, structs

from sparkd.catalog.definitions import Model
from sparkd.scheduling.lifecycle import State
from sparkd.scheduling.memory import Basis

NEVER = float("inf")


class Ticket(Struct, frozen=True):
    """A request in the books. `arrived` and `deadline` are seconds of the caller's clock."""

    id: int
    model: str
    arrived: float
    deadline: float


@dataclass(slots=True, eq=False)
class Entry:
    """One model's page: where its process is in its life, who waits for it, who uses it.

    `footprint` is bytes, and `basis` what they rest on; every other number but counts is seconds. `leases` holds
    the tickets granted on the current run, with the time of each grant. `cause` is why the last process failed,
    `reason` why this one has to go. `killed` says that the memory guard has ended this run, `guard_kills` how
    often it has ended any. `withdrawn`: the catalogue has the model no longer, or has it disabled.
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
    hurried: bool = False
    process: bool = False
    failures: int = 0
    until: float = 0.0
    cause: str = ""
    reason: str = ""
    load_time: float = 0.0
    answer_time: float = 0.0
    killed: bool = False
    guard_kills: int = 0
    withdrawn: bool = False

    @property
    def resident(self) -> bool:
        """Whether it holds memory: from its launch until its memory is back."""
        return self.process

    @property
    def is_utility(self) -> bool:
        """Whether it lives beside the main model, with a lane of its own in the queue."""
        return self.model.lifecycle == "utility"

    @property
    def idle(self) -> bool:
        """Whether it is ready and nobody uses it."""
        return self.state is State.READY and not self.leases

    @property
    def quarantined(self) -> bool:
        """Whether only an operator brings it back."""
        return self.state is State.BACKOFF and self.until == NEVER

    @property
    def at_rest(self) -> bool:
        """Whether nothing happens to it until somebody asks for it."""
        return self.state is State.STOPPED and not (self.waiting or self.failures)

    def residency_end(self) -> float:
        """When it may be evicted for another model.

        An idle model has `min_residency` from the moment it was ready; a busy one at least as long as it took to
        load, so that serving never takes less time than loading.
        """
        quantum = max(self.model.min_residency, self.load_time) if self.leases else self.model.min_residency
        return (self.ready_at or self.since) + quantum


class Books:
    """Entries and tickets. Only the scheduler writes here; nothing awaits in between."""

    def __init__(self, max_wait: float) -> None:
        self.max_wait = max_wait
        self._tickets = 0
        self.active: dict[str, Entry] = {}
        self.at_rest: dict[str, Entry] = {}
        self.queue: OrderedDict[int, Ticket] = OrderedDict()
        self.leases: dict[int, tuple[Entry, int]] = {}

    def copy(self) -> Books:
        """Books of their own that say the same; the models in them are shared, as nobody changes those."""
        return deepcopy(self, {id(entry.model): entry.model for entry in self.everyone()})

    def everyone(self) -> list[Entry]:
        """All entries, those at rest included."""
        return [*self.active.values(), *self.at_rest.values()]

    def rest(self, entry: Entry) -> None:
        """Put an entry aside: what its past runs taught is kept, unless it is withdrawn, and no decision need look."""
        del self.active[entry.model.id]
        if not entry.withdrawn:
            self.at_rest[entry.model.id] = entry

    def change_patience(self, max_wait: float) -> None:
        """Have every ticket wait at most `max_wait` seconds, those included that wait already: the oldest stays the
        first whose patience ends."""
        self.max_wait = max_wait
        for ticket in self.queue.values():
            patient = structs.replace(ticket, deadline=ticket.arrived + max_wait)
            self.queue[ticket.id] = self.active[ticket.model].waiting[ticket.id] = patient

    def enqueue(self, entry: Entry, now: float) -> Ticket:
        """Write a new ticket at the end of the queue."""
        self._tickets += 1
        ticket = Ticket(self._tickets, entry.model.id, now, now + self.max_wait)
        self.queue[ticket.id] = ticket
        entry.waiting[ticket.id] = ticket
        return ticket

    def dequeue(self, ticket_id: int) -> Entry:
        """Strike a waiting ticket out and return its model's entry."""
        entry = self.active[self.queue.pop(ticket_id).model]
        del entry.waiting[ticket_id]
        return entry

    def lend(self, entry: Entry, ticket_id: int, now: float) -> None:
        """Turn a waiting ticket into a lease on the entry's current run."""
        self.dequeue(ticket_id)
        entry.leases[ticket_id] = now
        entry.last_used = now
        self.leases[ticket_id] = (entry, entry.run)

    def give_back(self, ticket_id: int, now: float) -> Entry:
        """End a lease and return its model's entry. One on an earlier run changes nothing about the present one."""
        entry, run = self.leases.pop(ticket_id)
        if run != entry.run or ticket_id not in entry.leases:
            return entry
        taken = now - entry.leases.pop(ticket_id)
        entry.answer_time = taken if not entry.answer_time else 0.8 * entry.answer_time + 0.2 * taken
        entry.last_used = now
        return entry

    def residents(self) -> Iterator[Entry]:
        """Entries that hold memory."""
        return (entry for entry in self.active.values() if entry.resident)

    def reserved(self) -> int:
        """Bytes reserved for everything resident."""
        return sum(entry.footprint for entry in self.residents())

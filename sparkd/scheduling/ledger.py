"""The ledger: one entry for each model in use, one ticket for each request."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from copy import copy
from typing import Self

from msgspec import Struct, field, structs

from sparkd.catalog.definitions import Model
from sparkd.scheduling.claim import PLAIN_CLAIM, Claim
from sparkd.scheduling.hold import Hold
from sparkd.scheduling.lifecycle import State
from sparkd.scheduling.memory import Basis
from sparkd.scheduling.places import Places
from sparkd.scheduling.priorities import rank, weight
from sparkd.scheduling.sessions import Sessions
from sparkd.scheduling.ticket import Ticket
from sparkd.usage.records import StopReason

NEVER = float("inf")


class Preparation(Struct, frozen=True):
    """The model whose start has begun before its launch, and the number that its launch will have."""

    model: str
    run: int


class Entry(Struct, eq=False):
    """One model: the state of its process, the requests that wait for it, and the requests that use it.

    `footprint` is bytes and `basis` where that number comes from; other numbers are counts or seconds. `leases` has
    the tickets granted on the current run, with the time of each grant. `cause` is why the last process failed,
    `reason` why this one must stop. `killed`: the memory guard killed this run; `guard_kills`: how many runs it
    has killed. `withdrawn`: the model was removed from the catalogue, or disabled. `waiting_weight` and `leased_weight`
    are the sums of the weights of the requests that wait for it and use it: 0 if only background requests do.
    `idle_timeout` replaces the model's own for this run, None if no request has said so. `is_dismissed`: an
    operator unloaded it, and it is not loaded again without a request. `is_preload`: this run began without a request.
    `arrivals` is the sum of the times when the waiting requests arrived, each times its weight.
    `load_time`, `answer_time` and `stop_time` are what its last load, its requests and its last end took; 0 if unknown.
    `holds` keep it loaded. `stop_reason` is the kind of `reason`, and `evicted_for` the model that needs the memory.
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
    idle_timeout: float | None = None
    is_dismissed: bool = False
    is_preload: bool = False
    holds: tuple[Hold, ...] = ()
    stop_reason: StopReason | None = None
    evicted_for: str = ""
    waiting_weight: float = 0.0
    leased_weight: float = 0.0
    arrivals: float = 0.0
    sessions: Sessions = field(default_factory=Sessions)
    _first: Ticket | None = None
    _urgency: float | None = None

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
    def first(self) -> Ticket:
        """The waiting request whose turn comes first. There must be one that is not in the background."""
        if self._first is None:
            self._first = min(
                (ticket for ticket in self.waiting.values() if ticket.weight), key=lambda ticket: ticket.rank
            )
        return self._first

    @property
    def urgency(self) -> float:
        """The weight of the most important waiting request; that of a normal one if none waits."""
        if self._urgency is None:
            self._urgency = max((ticket.weight for ticket in self.waiting.values()), default=0.0)
        return self._urgency or 1.0

    def add_waiting(self, ticket: Ticket) -> None:
        """Add a waiting request."""
        self.waiting[ticket.id] = ticket
        self.waiting_weight += ticket.weight
        self.arrivals += ticket.weight * ticket.arrived
        if self._first is not None and ticket.weight and ticket.rank < self._first.rank:
            self._first = ticket
        if self._urgency is not None and ticket.weight > self._urgency:
            self._urgency = ticket.weight

    def remove_waiting(self, ticket: Ticket) -> None:
        """Remove a waiting request."""
        del self.waiting[ticket.id]
        self.waiting_weight -= ticket.weight
        self.arrivals = self.arrivals - ticket.weight * ticket.arrived if self.waiting_weight else 0.0
        if self._first is not None and self._first.id == ticket.id:
            self._first = None
        if self._urgency == ticket.weight:
            self._urgency = None

    def replace_waiting(self, ticket: Ticket) -> None:
        """Replace a waiting request by itself with another deadline and rank."""
        self.waiting[ticket.id] = ticket
        self._first = None

    def waiting_in_order(self) -> list[int]:
        """The tickets that wait, the one whose turn comes first at the front."""
        if len(self.waiting) == 1:
            return list(self.waiting)
        in_order = sorted(self.waiting.values(), key=lambda ticket: (not ticket.weight, ticket.rank))
        return [ticket.id for ticket in in_order]

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
    """Entries and tickets. Only the scheduler changes them, without an await in between.

    LeaseLedger, its subclass, adds leases.

    `max_wait` is the longest wait of a request and `keep_place` how long the place of one that left is kept, in
    seconds. `leases` has the entry and the weight of each granted ticket whose process is there, and `ended_leases` the
    tickets whose process has ended: their requests have not, and the entry may be gone or be on another run.
    """

    def __init__(self, max_wait: float, keep_place: float = 0.0) -> None:
        self.max_wait = max_wait
        self.places = Places(keep_place)
        self._last_ticket = 0
        self.active: dict[str, Entry] = {}
        self.inactive: dict[str, Entry] = {}
        self.queue: OrderedDict[int, Ticket] = OrderedDict()
        self.leases: dict[int, tuple[Entry, float]] = {}
        self.ended_leases: set[int] = set()
        self.holds: dict[str, Hold] = {}
        self.preparation: Preparation | None = None

    def copy(self) -> Self:
        """An independent copy. It shares what never changes: models and tickets."""
        twin = copy(self)
        entries = {id(entry): entry.copy() for entry in self.all_entries()}
        twin.active = {name: entries[id(entry)] for name, entry in self.active.items()}
        twin.inactive = {name: entries[id(entry)] for name, entry in self.inactive.items()}
        twin.queue = self.queue.copy()
        twin.leases = {ticket: (entries[id(entry)], share) for ticket, (entry, share) in self.leases.items()}
        twin.ended_leases = self.ended_leases.copy()
        twin.holds = self.holds.copy()
        twin.places = self.places.copy()
        return twin

    def all_entries(self) -> list[Entry]:
        """All entries, including inactive ones."""
        return [*self.active.values(), *self.inactive.values()]

    def activate(self, entry: Entry) -> None:
        """Make an entry active, so that decisions see it."""
        self.inactive.pop(entry.model.id, None)
        self.active[entry.model.id] = entry

    def deactivate(self, entry: Entry) -> None:
        """Make an entry inactive, so that decisions skip it. Its history is kept, unless the model is withdrawn."""
        del self.active[entry.model.id]
        if not entry.withdrawn:
            self.inactive[entry.model.id] = entry

    def set_max_wait(self, max_wait: float) -> None:
        """Set the longest wait of all tickets, in seconds, including those that wait already. The oldest one still
        expires first."""
        longer, self.max_wait = max_wait - self.max_wait, max_wait
        for ticket in self.queue.values():
            extended = structs.replace(
                ticket,
                deadline=ticket.deadline + longer,
                rank=rank(ticket.arrived, ticket.claim, max_wait),
            )
            self.queue[ticket.id] = extended
            self.active[ticket.model].replace_waiting(extended)

    def enqueue(self, entry: Entry, now: float, claim: Claim = PLAIN_CLAIM) -> Ticket:
        """Add a new ticket to the queue: at its end, or in the place that its client had before it left."""
        own_weight, arrived = self._record_arrival(entry, now, claim)
        ticket = Ticket(
            self._last_ticket,
            entry.model.id,
            arrived,
            now + self.max_wait,
            claim,
            rank(arrived, claim, self.max_wait),
            own_weight,
        )
        self.queue[ticket.id] = ticket
        entry.add_waiting(ticket)
        return ticket

    def _record_arrival(self, entry: Entry, now: float, claim: Claim) -> tuple[float, float]:
        """Number a new ticket; return its weight and when it arrived."""
        own_weight, arrived = weight(claim), now
        if own_weight and entry.last_used and not (entry.leased_weight or entry.waiting_weight):
            entry.sessions.add_pause(entry.last_used, now, is_ready=entry.state is State.READY)
        self._last_ticket += 1
        if self.places.kept and own_weight:
            arrived = self.places.take(entry.model.id, claim, now)
        return own_weight, arrived

    def dequeue(self, ticket_id: int) -> tuple[Entry, Ticket]:
        """Remove a waiting ticket; return it and its model's entry."""
        ticket = self.queue.pop(ticket_id)
        entry = self.active[ticket.model]
        entry.remove_waiting(ticket)
        return entry, ticket

    def dequeue_with_place(self, ticket_id: int, now: float) -> None:
        """Remove a waiting ticket, and keep its place for its client."""
        _, ticket = self.dequeue(ticket_id)
        self.places.keep(ticket.model, ticket.claim, ticket.arrived, now)

    def keep_places(self, entry: Entry, now: float) -> None:
        """Keep the places of all requests that wait for the model, because they are about to be refused."""
        for ticket in entry.waiting.values():
            self.places.keep(ticket.model, ticket.claim, ticket.arrived, now)

    def waiting_models(self) -> list[Entry]:
        """Entries of stopped models that requests wait for, in the order of their turns. Background requests have no
        turn."""
        waiting = [
            entry for entry in self.active.values() if entry.waiting_weight and entry.state is State.STOPPED
        ]
        return sorted(waiting, key=lambda entry: (entry.first.rank, entry.first.id))

    def background_models(self) -> list[Entry]:
        """Entries of stopped models that only background requests wait for, the one with the oldest first."""
        waiting = [
            entry
            for entry in self.active.values()
            if entry.waiting and not entry.waiting_weight and entry.state is State.STOPPED
        ]
        return sorted(waiting, key=lambda entry: next(iter(entry.waiting)))

    def residents(self) -> Iterator[Entry]:
        """Entries that use memory."""
        return (entry for entry in self.active.values() if entry.is_resident)

    def total_reserved(self) -> int:
        """Bytes reserved for all resident models."""
        return sum(entry.footprint for entry in self.residents())

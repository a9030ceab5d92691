"""The scheduling policy: which actions follow from the ledger. scheduler.py writes events into the ledger.

The policy, in order: serve ready models. Launch a model for the oldest ticket whose model is stopped, one launch at a
time and while nothing else stops (engines measure the memory of the whole machine while they start). To free memory,
evict idle models first, then drain busy ones; evictions.py chooses them, and residency.py decides when each may go. The
next model is prepared while they leave. The utility model has its own lane.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from sparkd.errors import Refusal
from sparkd.scheduling import refusals
from sparkd.scheduling.actions import Action, Grant
from sparkd.scheduling.deadlines import idle_deadline, next_deadline
from sparkd.scheduling.evictions import choose_evictions, fits
from sparkd.scheduling.ledger import Entry
from sparkd.scheduling.lifecycle import Event, State
from sparkd.scheduling.memory import Budget
from sparkd.scheduling.residency import RELEASE_TIME, eviction_time, load_time, measure_demand
from sparkd.scheduling.steps import PREPARE_MEMORY, PREPARED_MEMORY, SchedulingSteps


class SchedulingPolicy(SchedulingSteps):
    """Reads the ledger and decides for every model. RunEvents, its subclass, adds events."""

    def _decide(self, now: float, touched: Entry | None = None) -> list[Action]:
        """Make all decisions that are due. `touched`: the only event was a request for this model, or its end.

        If that model is ready and no deadline has passed, only its grants are decided. So the cost of a request
        depends neither on the number of resident models nor on the number of clients that wait for others.
        """
        if touched and touched.state is State.READY and now < self.deadline:
            self._grant_waiting(touched, now)
            if (
                touched.leases or not self._ledger.queue
            ):  # otherwise a rival may need the memory of this model, which is idle now
                self.deadline = min(self.deadline, idle_deadline(touched))
                return self._take_actions()
        self._refuse_expired(now)
        for entry in list(self._ledger.active.values()):
            self._advance(entry, now)
        heads: list[Entry] = []
        if self._ledger.queue:
            heads = self._launch_next(now)
            self._refuse_excess()
        self._update_preparation(heads, now)
        self.deadline = next_deadline(self._ledger, now)
        return self._take_actions()

    def _refuse_expired(self, now: float) -> None:
        """Refuse tickets that have waited for `max_wait`. It is the same for all, so the oldest expires first."""
        queue = self._ledger.queue
        while queue and (ticket := next(iter(queue.values()))).deadline <= now:
            entry = self._ledger.active[ticket.model]
            others = list(self._ledger.residents())
            self._refuse(ticket.id, refusals.wait_timeout_error(entry, self._ledger.max_wait, others))

    def _advance(self, entry: Entry, now: float) -> None:
        """Advance one model as far as the clock and its leases allow."""
        match entry.state:
            case State.STARTING:
                if now >= entry.since + entry.model.start_timeout:
                    self._time_out_start(entry, now)
            case State.READY:
                self._grant_waiting(entry, now)
            case State.DRAINING:
                self._terminate_if_drained(entry, now)
            case State.BACKOFF if not entry.has_process and now >= entry.retry_at:
                self._transition(entry, Event.COOLED, now)
            case State.STOPPED:
                entry.footprint, entry.basis = self.footprint(entry.model)
        if entry.waiting and (error := self._refusal_for(entry, now)):
            self._refuse_waiting(entry, error)
        if entry.is_inactive:
            self._ledger.deactivate(entry)

    def _refusal_for(self, entry: Entry, now: float) -> Callable[[], Refusal] | None:
        """Why waiting for this model is useless; None if it is not."""
        if self._closing_error:
            return self._closing_error
        if entry.state is State.BACKOFF:
            return lambda: refusals.model_failed_error(entry, now)
        if entry.state is State.STOPPED and entry.footprint > self.budget.limit_for(entry.model):
            return lambda: refusals.insufficient_memory_error(entry, (), self.budget)
        return None

    def _grant_waiting(self, entry: Entry, now: float) -> None:
        """Grant all tickets that wait for a ready model; evict it when its idle timeout has passed."""
        while entry.waiting:
            ticket_id = next(iter(entry.waiting))
            self._ledger.grant_lease(entry, ticket_id, now)
            self._actions.append(Grant(ticket_id, entry.model.id, entry.run))
        if now >= idle_deadline(entry) and not self._starting_entry():
            self._evict(entry, now, f"idle for {entry.model.idle_timeout:.0f} seconds")

    def _launch_next(self, now: float) -> list[Entry]:
        """Launch a model, or free memory, for the oldest ticket of each lane whose model is stopped.

        Return the models that are next in their lanes and must wait.
        """
        waiting = self._ledger.waiting_models()
        self._demand = measure_demand(waiting, self._ledger.max_wait)
        ahead: dict[bool, Entry] = {}
        heads: list[Entry] = []
        for entry in waiting:
            lane = entry.is_utility
            if lane in ahead:
                if not self._launch_meanwhile(entry, ahead[lane], now):
                    self._refuse_if_queueing_is_off(entry, [ahead[lane]], now)
            elif not self._launch_or_refuse(entry, now):
                # An exclusive model waits for an empty machine; the utility model must not start meanwhile.
                lanes = (True, False) if entry.model.lifecycle == "exclusive" else (lane,)
                ahead = dict.fromkeys(lanes, entry) | ahead
                heads.append(entry)
        return heads

    def _launch_or_refuse(self, entry: Entry, now: float) -> bool:
        """Return whether the entry was launched or refused. If not, it waits and blocks its lane."""
        residents = list(self._ledger.residents())
        if starting := self._starting_entry():
            # A start in the other lane is not a reason to refuse: it does not take this lane's memory.
            return starting.is_utility is entry.is_utility and self._refuse_if_queueing_is_off(
                entry, [starting], now
            )
        leaving = choose_evictions(entry, residents, self._available_budget(entry, residents), now)
        if leaving is None and choose_evictions(entry, residents, self.budget, now) is not None:
            return self._refuse_if_memory_short(entry, residents)
        if leaving is None:
            self._refuse_waiting(
                entry, lambda: refusals.insufficient_memory_error(entry, residents, self.budget)
            )
            return True
        if too_recent := [
            victim for victim in leaving if now < eviction_time(victim, entry, self._demand, now)
        ]:
            return self._refuse_if_queueing_is_off(entry, too_recent, now)
        busy = [victim for victim in leaving if victim.leases]
        if busy and self._refuse_if_queueing_is_off(entry, busy, now):
            return True
        for victim in leaving:
            self._evict(victim, now, f"making room for {entry.model.id}")
        return self._launch_if_possible(entry, now)

    def _launch_meanwhile(self, entry: Entry, head: Entry, now: float) -> bool:
        """Launch the entry although an older request waits for the head, if it is ready before the head's rivals leave.

        Only idle models whose residency is over are evicted for it. Return whether it was launched.
        """
        residents = list(self._ledger.residents())
        all_ready = all(each.state is State.READY for each in residents)
        if not all_ready or "exclusive" in (entry.model.lifecycle, head.model.lifecycle):
            return False
        leaving = choose_evictions(entry, residents, self._available_budget(entry, residents), now)
        rivals = choose_evictions(head, residents, self._available_budget(head, residents), now)
        if leaving is None or not rivals or not all(self._is_free(victim, entry, now) for victim in leaving):
            return False
        head_begins = max(eviction_time(rival, head, self._demand, now) for rival in rivals)
        if now + (RELEASE_TIME if leaving else 0.0) + load_time(entry) > head_begins:
            return False
        for victim in leaving:
            self._evict(victim, now, f"making room for {entry.model.id}")
        return self._launch_if_possible(entry, now)

    def _is_free(self, victim: Entry, rival: Entry, now: float) -> bool:
        return victim.is_idle and now >= eviction_time(victim, rival, self._demand, now)

    def _launch_if_possible(self, entry: Entry, now: float) -> bool:
        residents = list(self._ledger.residents())
        others_changing = any(
            each.killed or each.state not in (State.READY, State.DRAINING) for each in residents
        )
        budget = self._available_budget(entry, residents)
        if others_changing or not fits(entry, residents, budget):
            return False
        if not fits(entry, residents, budget.beside_launchers()):
            self._end_launchers()
            return False
        self._launch(entry, now)
        return True

    def _update_preparation(self, heads: Iterable[Entry], now: float) -> None:
        """Prepare the model that launches once others have left. Discard the preparation of any other model."""
        residents = list(self._ledger.residents())
        next_models = [
            entry for entry in heads if self._only_waits_for_others_to_leave(entry, residents, now)
        ]
        prepared = self._ledger.preparation
        if prepared and all(entry.model.id != prepared.model for entry in next_models):
            self._discard()
        is_leaving = any(resident.state is not State.READY for resident in residents)
        if next_models and is_leaving and not self._ledger.preparation and self._has_memory_to_prepare():
            able = (entry for entry in next_models if self._can_prepare(entry.model))
            if entry := next(able, None):
                self._prepare(entry)

    def _only_waits_for_others_to_leave(self, entry: Entry, residents: list[Entry], now: float) -> bool:
        """Whether the model launches as soon as the models that are leaving have left."""
        if not entry.waiting or self._starting_entry():
            return False
        return choose_evictions(entry, residents, self.budget, now) == []

    def _has_memory_to_prepare(self) -> bool:
        return self.available is None or self.available - self.guard.floor >= PREPARE_MEMORY

    def _available_budget(self, entry: Entry, residents: list[Entry]) -> Budget:
        """The budget within the machine's memory: what residents have reserved and launchers use, plus what is
        available beyond the floor. A guessed footprint is everything a model may use: it runs alone, and the guard
        watches its real use."""
        if self.available is None or entry.basis == "guessed":
            return self.budget
        reserved = sum(resident.footprint for resident in residents)
        if (prepared := self._ledger.preparation) and prepared.model == entry.model.id:
            reserved += PREPARED_MEMORY
        free = max(0, self.available - self.guard.floor) + self.budget.launchers
        return self.budget.limited_to(free + reserved)

    def _refuse_if_memory_short(self, entry: Entry, residents: list[Entry]) -> bool:
        """The model fits the budget but not the machine: wait for a model that is leaving. If there is none, refuse."""
        if any(resident.state not in (State.STARTING, State.READY) for resident in residents):
            return False
        available = (self.available or 0) + self.budget.launchers
        shortage = refusals.memory_shortage_error(entry, available, self.guard.floor)
        self._refuse_waiting(entry, lambda: shortage)
        return True

    def _refuse_if_queueing_is_off(self, entry: Entry, holders: list[Entry], now: float) -> bool:
        """If `queue.on_busy` is "reject", refuse the tickets that wait for the entry. Return whether it is."""
        if self._queue_settings.on_busy == "wait":
            return False
        residents = list(self._ledger.residents())
        self._refuse_waiting(entry, lambda: refusals.busy_error(entry, holders, residents, now))
        return True

    def _refuse_excess(self) -> None:
        """Refuse the newest tickets beyond `queue.max_length`."""
        longest = self._queue_settings.max_length
        while len(self._ledger.queue) > longest:
            newest = next(reversed(self._ledger.queue))
            self._refuse(newest, refusals.queue_full_error(longest))

"""The scheduling policy: which actions follow from the ledger. scheduler.py writes events into the ledger.

The policy, in order: serve ready models. Launch the model of the ticket whose turn comes first, which is the oldest one
if all have one priority (priorities.py): one launch at a time and while nothing else stops (engines measure the memory
of the whole machine while they start). To free memory, evict idle models first, then drain busy ones; evictions.py
chooses them, and residency.py decides when each may go. The next model is prepared while they leave (launches.py). The
utility model has its own lane. Background requests come last (background.py), then models without requests
(preloading.py).
"""

from __future__ import annotations

from collections.abc import Callable

from sparkd.errors import Refusal
from sparkd.scheduling import refusals
from sparkd.scheduling.actions import Action, Grant
from sparkd.scheduling.deadlines import describe_timeout, idle_deadline, next_deadline
from sparkd.scheduling.evictions import choose_evictions
from sparkd.scheduling.ledger import Entry
from sparkd.scheduling.lifecycle import Event, State
from sparkd.scheduling.preloading import PreloadPolicy
from sparkd.scheduling.priorities import importance
from sparkd.scheduling.residency import RELEASE_TIME, eviction_time, load_time, measure_demand


class SchedulingPolicy(PreloadPolicy):
    """Reads the ledger and decides for every model. RunEvents, its subclass, adds events."""

    def _decide(
        self, now: float, touched: Entry | None = None, use: tuple[float, float] | None = None
    ) -> list[Action]:
        """Make all decisions that are due. `touched`: the only event was a request for this model, or its end. `use` is
        that of its session before the event, if it was a request that is granted already.

        If that model is ready and no deadline has passed, only its grants are decided. So the cost of a request
        depends neither on the number of resident models nor on the number of clients that wait for others.
        """
        if touched and touched.state is State.READY and now < self.deadline:
            before = use or touched.sessions.use
            self._grant_waiting(touched, now)
            # Nobody waits, or the model is used as before:
            if (
                not self._ledger.queue or (touched.leased_weight and touched.sessions.use == before)
            ):  # otherwise a rival may need the memory of this model, which is idle now, or wait for it longer
                self.deadline = min(self.deadline, idle_deadline(touched))
                return self._take_actions()
        self._end_expired_holds(now)
        self._refuse_expired(now)
        for entry in list(self._ledger.active.values()):
            self._advance(entry, now)
        heads: list[Entry] = []
        if self._ledger.queue:
            heads = self._launch_next(now)
            if self._refuse_excess():  # a start may have been for one of them only
                heads = self._launch_next(now)
        self._launch_preloads(now)
        self._update_preparation(heads, now)
        self.deadline = next_deadline(self._ledger, now)
        return self._take_actions()

    def _refuse_expired(self, now: float) -> None:
        """Refuse tickets that have waited for `max_wait`. It is the same for all, so the oldest expires first.

        Their places are kept: the clients may retry.
        """
        queue = self._ledger.queue
        while queue and (ticket := next(iter(queue.values()))).deadline <= now:
            entry = self._ledger.active[ticket.model]
            others = list(self._ledger.residents())
            if ticket.claim.background and entry.state is State.STOPPED:
                error: Refusal = refusals.background_error(entry, others)
            else:
                error = refusals.wait_timeout_error(entry, self._ledger.max_wait, others)
            self._refuse(ticket.id, error)
            self._ledger.places.keep(ticket.model, ticket.claim, ticket.arrived, now)

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
            if self._closing_error:  # the clients may return to the next sparkd
                self._ledger.keep_places(entry, now)
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
        """Grant all tickets that wait for a ready model, in the order of their turns; evict it when its idle timeout
        has passed."""
        for ticket_id in entry.waiting_in_order() if entry.waiting else ():
            self._ledger.grant_lease(entry, ticket_id, now)
            self._actions.append(Grant(ticket_id, entry.model.id, entry.run))
        if now >= idle_deadline(entry) and not self._starting_entry():
            entry.is_dismissed = entry.idle_timeout is not None
            timeout = entry.model.idle_timeout if entry.idle_timeout is None else entry.idle_timeout
            # 0 is the keep_alive of a request: `idle_timeout = 0` never stops a model.
            reason = (
                f"idle for {describe_timeout(timeout)}" if timeout else "its last client keeps it no longer"
            )
            self._evict(entry, now, "idle", reason)

    def _launch_next(self, now: float) -> list[Entry]:
        """Launch a model, or free memory, for the ticket of each lane whose turn it is and whose model is stopped.

        Return the models that are next in their lanes and must wait.
        """
        waiting = self._leave_out_blocked(self._ledger.waiting_models(), now)
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
        self._launch_in_background(now)
        return heads

    def _launch_or_refuse(self, entry: Entry, now: float) -> bool:
        """Return whether the entry was launched or refused. If not, it waits and blocks its lane."""
        residents = list(self._ledger.residents())
        starting = self._starting_entry()
        if starting and not self._end_unwanted_start(starting, entry, now):
            # A start in the other lane is not a reason to refuse: it does not take this lane's memory.
            is_same_lane = starting.is_utility is entry.is_utility
            return is_same_lane and self._refuse_if_queueing_is_off(entry, [starting], now)
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
            self._evict_for(entry, victim, now)
        return self._launch_if_possible(entry, now)

    def _launch_meanwhile(self, entry: Entry, head: Entry, now: float) -> bool:
        """Launch the entry although the head's turn comes first, if it is ready before the head's rivals leave.

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
            self._evict_for(entry, victim, now)
        return self._launch_if_possible(entry, now)

    def _evict_for(self, entry: Entry, victim: Entry, now: float) -> None:
        """Evict the victim, because the entry needs its memory."""
        model = entry.model.id
        self._evict(victim, now, "evicted", f"making room for {model}", evicted_for=model)

    def _is_free(self, victim: Entry, rival: Entry, now: float) -> bool:
        return victim.is_idle and now >= eviction_time(victim, rival, self._demand, now)

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

    def _refuse_excess(self) -> bool:
        """Refuse tickets beyond `queue.max_length`: the least important ones, the newest of them first.

        Return whether there were any.
        """
        longest, queue = self._queue_settings.max_length, self._ledger.queue
        if len(queue) <= longest:
            return False
        while len(queue) > longest:
            last = min(
                queue.values(), key=lambda ticket: (importance(ticket.claim), -ticket.arrived, -ticket.id)
            )
            self._refuse(last.id, refusals.queue_full_error(longest))
        return True

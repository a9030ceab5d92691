"""Leases in the ledger: requests that use a model now."""

from __future__ import annotations

from sparkd.scheduling.claim import Claim
from sparkd.scheduling.ledger import Entry, Ledger


class LeaseLedger(Ledger):
    """Begins and ends leases."""

    def grant_lease(self, entry: Entry, ticket_id: int, now: float) -> None:
        """Turn a waiting ticket into a lease on the entry's current run."""
        _, ticket = self.dequeue(ticket_id)
        self._begin_lease(entry, ticket_id, ticket.claim, ticket.weight, now)

    def grant_at_once(self, entry: Entry, now: float, claim: Claim) -> int:
        """Grant a new request for a ready model that no request waits for, without the queue; return its ticket."""
        own_weight, _ = self._record_arrival(entry, now, claim)
        self._begin_lease(entry, self._last_ticket, claim, own_weight, now)
        return self._last_ticket

    def _begin_lease(
        self, entry: Entry, ticket_id: int, claim: Claim, lease_weight: float, now: float
    ) -> None:
        entry.leases[ticket_id] = now
        self.leases[ticket_id] = (entry, lease_weight)
        if claim.keep_alive is not None:
            entry.idle_timeout = claim.keep_alive
        if lease_weight:
            entry.leased_weight += lease_weight
            entry.sessions.add_use(lease_weight, entry.leased_weight)
            entry.last_used = now

    def end_lease(self, ticket_id: int, now: float) -> Entry:
        """End a lease and return its model's entry.

        A background request does not count as use: its model is idle since its last other request.
        """
        entry, lease_weight = self.leases.pop(ticket_id)
        duration = now - entry.leases.pop(ticket_id)
        if lease_weight:
            entry.leased_weight -= lease_weight
            entry.answer_time = (
                duration if not entry.answer_time else 0.8 * entry.answer_time + 0.2 * duration
            )
            entry.last_used = now
        return entry

    def end_leases(self, entry: Entry) -> None:
        """End all leases on a run whose process has ended. Their tickets are returned later, without any effect."""
        for ticket_id in entry.leases:
            del self.leases[ticket_id]
        self.ended_leases.update(entry.leases)
        entry.leases.clear()
        entry.leased_weight = 0.0

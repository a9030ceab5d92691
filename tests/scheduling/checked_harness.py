"""A harness that checks each of the scheduler's actions against the world at the moment it is asked for."""

from __future__ import annotations

from sparkd.catalog.quantities import GIB
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
from sparkd.scheduling.lifecycle import State
from sparkd.scheduling.steps import PREPARE_MEMORY, PREPARED_MEMORY
from tests.scheduling.harness import Harness

BUDGET = 100 * GIB
FLOOR = 5 * GIB


class CheckedHarness(Harness):
    """Checks each action against the world at the moment it is asked for.

    The machine has FLOOR bytes more than its budget. What a process holds comes back only when the world says so, and
    maybe not all of it: `leaked`. `strangers` have some too. `seen` is what the scheduler was told last, and
    `launchers` what launchers use. `places` is until when those of clients that left are kept, by client and model,
    `wanted_at` when a request last waited for a model that was not in the background, and `keep_alive` for how many
    seconds an idle run stays loaded, if a request or an operator has said so.
    """

    launchers = 0

    leaked = 0
    strangers = 0
    memory_used: dict[int, int]
    places: dict[tuple[str, str], float]
    wanted_at: dict[str, float]
    keep_alive: dict[int, float]
    seen: int | None = None

    def read_memory(self) -> None:
        """The machine is looked at."""
        taken = sum(self.memory_used.get(run, 0) for run in self.processes)
        self.seen = max(0, BUDGET + FLOOR - taken - self.leaked - self.strangers - self.launchers)
        self.report_memory(self.seen)

    def request(self, model: str, claim: Claim = PLAIN_CLAIM) -> int:
        self.places.pop((claim.client, model), None)
        return super().request(model, claim)

    def leave(self, ticket: int) -> None:
        claim = self.claims[ticket]
        self.note_what_is_wanted()
        if self.is_waiting(ticket) and claim.client and not claim.background:
            self.places[claim.client, self.tickets[ticket]] = self.now + self.queue.keep_place
        super().leave(ticket)

    def unload(self, model: str) -> None:
        super().unload(model)
        self.keep_alive.update((run, 0.0) for run, each in self.processes.items() if each.model == model)

    def replace_sparkd(self) -> bool:
        waiting = [ticket for ticket in self.tickets if self.is_waiting(ticket)]
        for claim, model in [(self.claims[ticket], self.tickets[ticket]) for ticket in waiting]:
            if claim.client and not claim.background:
                self.places[claim.client, model] = self.now + self.queue.keep_place
        self.note_what_is_wanted()
        seen, self.seen = self.seen, None  # the next sparkd has not looked at the machine yet
        is_replaced = super().replace_sparkd()
        if not is_replaced:
            self.seen = seen
        else:
            self.use_launchers(self.launchers)
        return is_replaced

    def apply(self, actions: list[Action]) -> None:
        for action in actions:
            self.note_what_is_wanted()
            self.check(action)
            super().apply([action])

    def check(self, action: Action) -> None:
        match action:
            case Prepare() | Discard() | EndLaunchers():
                self.check_preparation(action)
            case Launch(model, run):
                self.check_launch(model, run)
            case Terminate(_, run, reason):
                self.check_terminate(run, reason)
            case Kill(model, run, _):
                self.check_kill(model, run)
            case Grant(ticket, model, run):
                process = self.processes[run]
                assert process.healthy, "granted on a process that is not healthy"
                assert not process.terminated, "granted on a process that was told to go"
                assert not process.exited, "granted on a process that has exited"
                assert process.model == model == self.tickets.get(ticket, model)
                assert ticket not in self.granted, "granted twice"
                assert ticket not in self.refused, "granted after it was refused"
                if ticket in self.claims and (seconds := self.claims[ticket].keep_alive) is not None:
                    self.keep_alive[run] = seconds
            case Refuse(ticket, _):
                assert ticket not in self.granted, "refused after it was granted"
                assert ticket not in self.refused, "refused twice"

    def check_preparation(self, action: Prepare | Discard | EndLaunchers) -> None:
        match action:
            case Prepare(model, _):
                assert not self.prepared, "two models prepared at once"
                others = self.processes.values()
                assert any(process.terminated or process.exited for process in others) or any(
                    self.state(process.model) is State.DRAINING for process in others
                ), "prepared although nobody leaves"
                assert all(process.healthy or process.terminated or process.exited for process in others)
                assert self.state(model) is State.STOPPED
                assert self.seen is None or self.seen >= FLOOR + PREPARE_MEMORY
            case Discard(_, run):
                assert run in self.prepared
            case EndLaunchers():
                assert self.launchers, "no launcher to end"

    def check_launch(self, model: str, run: int) -> None:
        assert self.prepared in ({}, {run: model}), "launched beside another preparation"
        others = list(self.processes.values())
        assert all(process.model != model for process in others), "two processes of one model"
        self.check_background(model)
        assert all(process.healthy for process in others), "launched while another one starts"
        assert not any(process.terminated or process.exited for process in others), (
            "launched while another one stops"
        )
        footprints = {each.id: each.memory or 0 for each in self.models}
        reserved = sum(footprints[process.model] for process in others) + footprints[model]
        assert reserved <= BUDGET - self.scheduler.budget.leaked - self.launchers, "over budget"
        seen = None if self.seen is None else self.seen + (PREPARED_MEMORY if self.prepared else 0)
        assert seen is None or footprints[model] + FLOOR <= seen, "the machine did not agree"
        lifecycles = {each.id: each.lifecycle for each in self.models}
        alone = [model, *(process.model for process in others)]
        if any(lifecycles[each] == "exclusive" for each in alone):
            assert len(alone) == 1, "an exclusive model is not alone"

    def check_background(self, model: str) -> None:
        """A launch that only background requests wait for delays nobody."""
        if not self.is_wanted(model):
            stopped = {each.id for each in self.models} - {p.model for p in self.processes.values()}
            assert not any(map(self.is_wanted, stopped)), "launched in the background before others"
        if not any(self.tickets[ticket] == model and self.is_waiting(ticket) for ticket in self.tickets):
            wanted = {each.id for each in self.models if each.preload and each.enabled}
            assert model in wanted, "launched for nobody"
            assert not any(map(self.is_waiting, self.tickets)), "preloaded while a request waits"
            assert all(process.healthy for process in self.processes.values()), "preloaded into a change"

    def note_what_is_wanted(self) -> None:
        """Record for which models requests wait now that are not in the background."""
        for ticket, model in self.tickets.items():
            if self.is_waiting(ticket) and not self.claims[ticket].background:
                self.wanted_at[model] = self.now

    def is_wanted(self, model: str) -> bool:
        """Whether a request waits for the model that is not in the background."""
        return any(
            self.tickets[ticket] == model and self.is_waiting(ticket) and not self.claims[ticket].background
            for ticket in self.tickets
        )

    def check_start_ended(self, model: str, reason: str) -> None:
        """A start outlives its clients, unless the operator ends it or another model needs its memory."""
        causes = (
            "the operator",
            "an operator",
            "its definition",
            "it was removed",
            "sparkd is stopping",
            "start timeout",
        )
        if reason.startswith(causes):
            return
        assert reason.startswith("no request waits for it"), f"a start was ended: {reason}"
        assert not any(hold.model == model for hold in self.scheduler.holds()), (
            "the start of a held model was ended"
        )
        assert not self.is_wanted(model), "a start that a request waits for was ended"
        assert self.is_wanted(reason.rpartition(" ")[2]), "a start was ended for nobody"
        assert not any(until > self.now for (_, each), until in self.places.items() if each == model), (
            "the client of a start that was ended may still return to its place"
        )

    def check_kill(self, model: str, run: int) -> None:
        assert self.seen is not None
        assert self.seen < FLOOR, "killed without need"
        entry = self.scheduler.entry(model)
        assert entry is not None
        assert entry.run == run
        starting = [p.model for p in self.processes.values() if not (p.healthy or p.terminated or p.exited)]
        assert not starting or model in starting, "killed another one than what starts"

    def check_terminate(self, run: int, reason: str) -> None:
        process = self.processes[run]
        assert not process.terminated, "told twice"
        entry = self.scheduler.entry(process.model)
        assert entry is not None
        if run in self.granted.values() and not process.exited:
            assert self.now >= entry.drain_deadline, "terminated under a lease before the drain deadline"
        if not process.healthy and not process.exited:
            self.check_start_ended(process.model, reason)
        evicted_at = entry.drain_deadline - entry.model.drain_timeout
        if reason.startswith("making room"):
            wanted = self.wanted_at.get(reason.rpartition(" ")[2], 0.0)
            assert wanted >= evicted_at, "evicted for the background, or for nobody"
        if process.healthy and reason.startswith(("making room", "idle")):
            assert process.model != "pinned", "policy evicted a pinned model"
            assert all(evicted_at <= self.held_at[hold.id] for hold in entry.holds), "evicted a held model"
        if process.healthy and reason.startswith("idle"):
            timeout = self.keep_alive.get(run, entry.model.idle_timeout)
            assert evicted_at >= entry.last_used + timeout, "its keep_alive was ignored"
        if reason.startswith(("making room", "idle")):
            starting = [
                other for other in self.processes.values() if not other.healthy and not other.terminated
            ]
            assert not [other for other in starting if not other.exited], "stopped while another one starts"

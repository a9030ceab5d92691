"""Hypothesis plays clients, processes, the clock and the operator; the promises hold whatever it does."""

from __future__ import annotations

import contextlib
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec import structs

from sparkd.catalog.quantities import GIB
from sparkd.catalog.settings import Failures, Queue
from sparkd.errors import HoldConflict, InsufficientMemory
from sparkd.scheduling.claim import Claim
from sparkd.scheduling.forecaster import Forecaster
from sparkd.scheduling.hold import Hold
from sparkd.scheduling.lifecycle import State
from sparkd.scheduling.priorities import weight
from sparkd.scheduling.scheduler import Scheduler
from tests.scheduling.checked_harness import BUDGET, FLOOR, CheckedHarness
from tests.scheduling.harness import FixedLoads, a_model

MAX_WAIT = 400.0
KEEP_PLACE = 45.0
MODELS = ("a", "b", "c", "utility", "exclusive", "pinned")
CLAIMS = st.builds(
    Claim,
    client=st.sampled_from(["", "laptop", "phone"]),
    priority=st.sampled_from(["low", "normal", "high"]),
    background=st.sampled_from([False, False, True]),
    keep_alive=st.sampled_from([None, None, 0.0, 20.0, float("inf")]),
)


def id_of(hold: Hold) -> str:
    return hold.id


def describe(scheduler: Scheduler) -> str:
    """Everything that a forecast could change."""
    return repr(
        (
            list(scheduler.entries()),
            dict(scheduler.tickets),
            list(scheduler.holds()),
            scheduler.snapshot(),
            scheduler.snapshot_places(),
            (scheduler.deadline, scheduler.available, scheduler.budget, scheduler.is_ending_launchers),
        )
    )


class Promises(RuleBasedStateMachine):
    """Invariants over any sequence of events."""

    @initialize(
        reject=st.booleans(),
        idle=st.sampled_from([0.0, 40.0]),
        residency=st.sampled_from([None, 0.0, 30.0]),
        preload=st.booleans(),
    )
    def build(self, *, reject: bool, idle: float, residency: float | None, preload: bool) -> None:
        times: dict[str, Any] = {
            "idle_timeout": idle,
            "min_residency": residency,
            "drain_timeout": 60.0,
            "start_timeout": 100.0,
        }
        self.harness = CheckedHarness(
            (
                a_model("a", 50 * GIB, **times),
                a_model("b", 30 * GIB, preload=preload, **times),
                a_model("c", 80 * GIB, **times),
                a_model("utility", 20 * GIB, lifecycle="utility", **times),
                a_model("exclusive", 90 * GIB, lifecycle="exclusive", **times),
                a_model("pinned", 30 * GIB, pinned=True, **times),
            ),
            total=BUDGET,
            queue=Queue(
                max_wait=MAX_WAIT,
                max_length=6,
                on_busy="reject" if reject else "wait",
                keep_place=KEEP_PLACE,
            ),
            failures=Failures(backoff=5.0, backoff_max=20.0, max_failures=3),
            floor=FLOOR,
            preparable=frozenset(MODELS) - {"b"},
        )
        self.harness.memory_used = {}
        self.harness.places, self.harness.wanted_at, self.harness.keep_alive = {}, {}, {}
        self.asked: dict[int, float] = {}
        self.harness.serve()

    # Clients

    @rule(model=st.sampled_from(MODELS), claim=CLAIMS)
    def a_client_asks(self, model: str, claim: Claim) -> None:
        if not self.is_enabled(model):
            return  # the supervisor finds no such model, so the scheduler never hears of it
        self.asked[self.harness.request(model, claim)] = self.harness.now

    @precondition(lambda self: self.live())
    @rule(data=st.data())
    def a_client_leaves(self, data: st.DataObject) -> None:
        self.harness.leave(data.draw(st.sampled_from(self.live())))

    # Processes

    @precondition(lambda self: self.processes(starting=True))
    @rule(data=st.data())
    def a_process_gets_healthy(self, data: st.DataObject) -> None:
        self.harness.become_healthy(data.draw(st.sampled_from(self.processes(starting=True))))

    @precondition(lambda self: self.processes(exited=False))
    @rule(data=st.data(), forgiven=st.booleans())
    def a_process_exits(self, data: st.DataObject, forgiven: bool) -> None:
        model = data.draw(st.sampled_from(self.processes(exited=False)))
        is_ready = self.harness.state(model) is State.READY
        self.harness.exit(model, forgiven=forgiven and is_ready)
        if forgiven and is_ready:
            entry = self.harness.scheduler.entry(model)
            assert entry is not None
            assert (entry.state, entry.failures) == (State.STOPPING, 0)

    @precondition(lambda self: self.processes(exited=True))
    @rule(data=st.data(), leak=st.sampled_from([0, 0, 10 * GIB]))
    def its_memory_is_back(self, data: st.DataObject, leak: int) -> None:
        process = self.harness.process(data.draw(st.sampled_from(self.processes(exited=True))))
        missing = min(leak, self.harness.memory_used.pop(process.run, 0))
        self.harness.leaked += missing
        self.harness.reclaim(process.model, missing)

    # The machine

    @precondition(lambda self: self.harness.processes)
    @rule(data=st.data(), size=st.sampled_from([5 * GIB, 30 * GIB, 90 * GIB]))
    def a_process_allocates(self, data: st.DataObject, size: int) -> None:
        run = data.draw(st.sampled_from(sorted(self.harness.processes)))
        self.harness.memory_used[run] = self.harness.memory_used.get(run, 0) + size

    @rule(size=st.sampled_from([0, GIB, 3 * GIB]))
    def launchers_use_memory(self, size: int) -> None:
        self.harness.launchers = size
        self.harness.use_launchers(size)

    @rule(size=st.sampled_from([0, 20 * GIB, 101 * GIB]))
    def other_programs_take_memory(self, size: int) -> None:
        self.harness.strangers = size

    @rule()
    def the_machine_is_looked_at(self) -> None:
        self.harness.read_memory()

    # The clock and the operator

    @rule(seconds=st.sampled_from([0.0, 0.5, 5.0, 31.0, 100.0]))
    def time_passes(self, seconds: float) -> None:
        self.harness.wait(seconds)

    @rule(model=st.sampled_from(MODELS))
    def the_operator_stops(self, model: str) -> None:
        with contextlib.suppress(HoldConflict):
            self.harness.stop(model)

    @rule(model=st.sampled_from(MODELS))
    def the_operator_unloads(self, model: str) -> None:
        with contextlib.suppress(HoldConflict):
            self.harness.unload(model)

    @rule(model=st.sampled_from(MODELS), seconds=st.sampled_from([20.0, 100.0, 1000.0]))
    def an_operator_holds(self, model: str, seconds: float) -> None:
        if self.is_enabled(model):
            with contextlib.suppress(HoldConflict, InsufficientMemory):
                self.harness.hold(model, seconds)

    @precondition(lambda self: bool(list(self.harness.scheduler.holds())))
    @rule(data=st.data())
    def an_operator_releases(self, data: st.DataObject) -> None:
        self.harness.release(data.draw(st.sampled_from(list(self.harness.scheduler.holds()))))

    @rule(
        gone=st.sets(st.sampled_from(MODELS), max_size=2),
        changed=st.sets(st.sampled_from(MODELS), max_size=2),
    )
    def the_catalogue_is_read_again(self, gone: set[str], changed: set[str]) -> None:
        """Some are disabled for a while: the next reading may have them back."""
        self.harness.reload(
            *(
                structs.replace(model, status="disabled" if model.id in gone else "experimental")
                for model in self.harness.models
            ),
            restart=tuple(changed - gone),
        )

    @rule(model=st.sampled_from(MODELS))
    def the_operator_retries(self, model: str) -> None:
        self.harness.retry(model)

    @rule()
    def sparkd_is_replaced(self) -> None:
        """All that is promised stays promised: holds, keep_alive, and the places of clients."""
        scheduler = self.harness.scheduler
        holds = [hold for hold in scheduler.holds() if self.is_enabled(hold.model)]
        if self.harness.replace_sparkd():
            self.asked.clear()
            assert sorted(self.harness.scheduler.holds(), key=id_of) == sorted(holds, key=id_of)
            assert self.harness.scheduler.snapshot_places() == scheduler.snapshot_places()

    @rule(model=st.sampled_from(MODELS), seconds=st.sampled_from([None, 30.0]))
    def somebody_asks_for_forecasts(self, model: str, seconds: float | None) -> None:
        """Forecasts and questions never raise, and change nothing."""
        scheduler, now = self.harness.scheduler, self.harness.now
        before = describe(scheduler)
        forecaster = Forecaster(scheduler, FixedLoads(seconds))
        forecasts = [forecaster.forecast(ticket, now) for ticket in list(scheduler.tickets)]
        assert None not in forecasts
        for each in (*filter(None, forecasts), forecaster.forecast_request(model, now)):
            assert each.seconds is None or 0.0 <= each.seconds < float("inf")
        forecaster.next_grant(now)
        scheduler.can_load(model, now)
        scheduler.can_start_without_eviction(model)
        scheduler.blocked_by(model, now)
        assert describe(scheduler) == before

    # What always holds

    @invariant()
    def the_next_tick_lies_ahead(self) -> None:
        assert self.harness.scheduler.deadline > self.harness.now

    @invariant()
    def a_second_decision_changes_nothing(self) -> None:
        """Whatever shortcut an event took: another look finds nothing left to do."""
        assert self.harness.scheduler.on_tick(self.harness.now) == []

    @invariant()
    def the_ledger_matches_the_processes(self) -> None:
        harness, footprints = self.harness, {model.id: model.memory or 0 for model in self.harness.models}
        assert harness.scheduler.reserved == sum(footprints[p.model] for p in harness.processes.values())
        waiting = [ticket for ticket in harness.tickets if harness.is_waiting(ticket)]
        assert harness.scheduler.waiting == len(waiting)
        for entry in harness.scheduler.entries():
            assert entry.has_process == any(p.model == entry.model.id for p in harness.processes.values())
            on_this_run = {ticket for ticket, run in harness.granted.items() if run == entry.run}
            gone = entry.run not in harness.processes or harness.processes[entry.run].exited
            assert set(entry.leases) == (set() if gone else on_this_run)

    @invariant()
    def every_granted_request_counts_until_it_ends(self) -> None:
        """Even if its process has ended and its model is gone: sparkd is not replaced under it."""
        assert not (self.harness.granted and self.harness.scheduler.is_transferable)

    @invariant()
    def what_is_prepared_is_about_to_launch(self) -> None:
        for model in self.harness.prepared.values():
            entry = self.harness.scheduler.entry(model)
            assert entry is not None
            assert entry.waiting
            assert not entry.has_process
            assert not self.harness.scheduler.is_transferable

    @invariant()
    def nobody_waits_for_a_model_that_is_ready_or_failed(self) -> None:
        for ticket in filter(self.harness.is_waiting, self.harness.tickets):
            assert self.harness.state(self.harness.tickets[ticket]) not in (State.READY, State.BACKOFF)

    @invariant()
    def the_weights_match_the_tickets(self) -> None:
        harness = self.harness
        for entry in harness.scheduler.entries():
            assert entry.waiting_weight == sum(weight(harness.claims[ticket]) for ticket in entry.waiting)
            assert entry.leased_weight == sum(weight(harness.claims[ticket]) for ticket in entry.leases)

    @invariant()
    def a_hold_belongs_to_its_model_and_ends(self) -> None:
        scheduler = self.harness.scheduler
        holds = list(scheduler.holds())
        assert all(hold.ends > self.harness.now for hold in holds)
        for model in MODELS:
            entry = scheduler.entry(model)
            assert (entry.holds if entry else ()) == tuple(hold for hold in holds if hold.model == model)

    @invariant()
    def nobody_waits_longer_than_max_wait(self) -> None:
        for ticket in filter(self.harness.is_waiting, self.harness.tickets):
            assert self.harness.now < self.asked[ticket] + MAX_WAIT

    def teardown(self) -> None:
        """In a world that behaves from here on everybody is answered long before `max_wait`, more important rivals or
        not. Requests in the background are answered or refused."""
        if not hasattr(self, "harness"):
            return
        for hold in list(self.harness.scheduler.holds()):
            self.harness.release(hold)
        rivals = Claim(priority="high")
        in_foreground = (
            ticket for ticket in self.harness.tickets if not self.harness.claims[ticket].background
        )
        waiting = [ticket for ticket in in_foreground if self.harness.is_waiting(ticket)]
        for second in range(300):
            self.let_processes_follow()
            waiting = [ticket for ticket in waiting if self.harness.is_waiting(ticket)]
            if not waiting:
                break
            self.a_client_asks(("a", "b", "utility")[second % 3], rivals)
            self.harness.wait(1.0)
        assert not waiting, f"still waiting: {[self.harness.tickets[ticket] for ticket in waiting]}"
        self.harness.shut_down()
        assert not self.harness.prepared, "a preparation was neither launched nor discarded"

    def let_processes_follow(self) -> None:
        """Answers end, starts succeed, who was told to go goes, memory comes back."""
        self.harness.strangers = self.harness.leaked = 0
        for ticket in list(self.harness.granted):
            self.harness.leave(ticket)
        for process in list(self.harness.processes.values()):
            if process.terminated and not process.exited:
                self.harness.exit(process.model)
            elif process.exited:
                self.harness.memory_used.pop(process.run, None)
                self.harness.read_memory()
                self.harness.reclaim(process.model)
            elif not process.healthy:
                self.harness.become_healthy(process.model)
            else:
                self.harness.memory_used[process.run] = GIB
        self.harness.launchers = 0
        self.harness.use_launchers(0)
        self.harness.read_memory()

    def is_enabled(self, model: str) -> bool:
        return next(each for each in self.harness.models if each.id == model).enabled

    def live(self) -> list[int]:
        return [ticket for ticket in self.harness.tickets if ticket not in self.harness.refused]

    def processes(self, *, starting: bool | None = None, exited: bool | None = None) -> list[str]:
        found = list(self.harness.processes.values())
        if starting:
            found = [process for process in found if not (process.healthy or process.exited)]
        if exited is not None:
            found = [process for process in found if process.exited is exited]
        return [process.model for process in found]


TestPromises = Promises.TestCase
TestPromises.settings = settings(
    max_examples=600,
    stateful_step_count=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)

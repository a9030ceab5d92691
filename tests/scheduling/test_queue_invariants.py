"""Hypothesis plays clients that come, leave and return, with every priority; the promises of the queue hold.

Fewer events than in test_invariants.py, so that starts without clients and background requests are met often.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sparkd.catalog.quantities import GIB
from sparkd.catalog.settings import Queue
from sparkd.scheduling.claim import Claim
from sparkd.scheduling.priorities import AGEING_SHARE
from tests.scheduling.checked_harness import BUDGET, FLOOR, CheckedHarness
from tests.scheduling.harness import a_model

MAX_WAIT = 400.0
KEEP_PLACE = 45.0
MODELS = ("a", "b", "c")
LOAD_TIMES = {"a": 20.0, "b": 60.0, "c": 60.0}
PRIORITIES = ("low", "normal", "high")
STEP = AGEING_SHARE * MAX_WAIT


class QueuePromises(RuleBasedStateMachine):
    """Two models that do not fit together, and one that fits beside either."""

    @initialize()
    def build(self) -> None:
        self.harness = CheckedHarness(
            (
                a_model("a", 30 * GIB, min_residency=None),
                a_model("b", 60 * GIB, min_residency=None),
                a_model("c", 60 * GIB, min_residency=None),
            ),
            total=BUDGET,
            queue=Queue(max_wait=MAX_WAIT, max_length=5, keep_place=KEEP_PLACE),
            floor=FLOOR,
            load_times=LOAD_TIMES,
        )
        self.harness.memory_used = {}
        self.harness.places, self.harness.wanted_at, self.harness.keep_alive = {}, {}, {}

    @rule(
        model=st.sampled_from(MODELS),
        client=st.sampled_from(["", "laptop", "phone"]),
        priority=st.sampled_from(PRIORITIES),
    )
    def a_client_asks(self, model: str, client: str, priority: str) -> None:
        self.harness.request(model, Claim(client, priority))  # type: ignore[arg-type]

    @rule(model=st.sampled_from(MODELS))
    def a_background_request_comes(self, model: str) -> None:
        self.harness.request(model, Claim("titles", background=True))

    @precondition(lambda self: self.waiting())
    @rule(data=st.data())
    def a_client_gives_up(self, data: st.DataObject) -> None:
        self.harness.leave(data.draw(st.sampled_from(self.waiting())))

    @precondition(lambda self: self.harness.granted)
    @rule(data=st.data())
    def a_response_is_complete(self, data: st.DataObject) -> None:
        self.harness.leave(data.draw(st.sampled_from(sorted(self.harness.granted))))

    @precondition(lambda self: self.harness.processes)
    @rule(data=st.data())
    def a_process_follows(self, data: st.DataObject) -> None:
        process = self.harness.processes[data.draw(st.sampled_from(sorted(self.harness.processes)))]
        if process.terminated:
            self.harness.exit_and_reclaim(process.model)
        elif not process.healthy:
            self.harness.become_healthy(process.model)

    @rule(seconds=st.sampled_from([1.0, 20.0, 50.0, 100.0]))
    def time_passes(self, seconds: float) -> None:
        self.harness.wait(seconds)

    @invariant()
    def a_second_decision_changes_nothing(self) -> None:
        assert self.harness.scheduler.on_tick(self.harness.now) == []

    @invariant()
    def a_background_request_waits_only_while_it_must(self) -> None:
        """If nothing else waits, starts or leaves, its model is launched into free memory."""
        harness = self.harness
        for ticket in filter(harness.is_waiting, harness.tickets):
            model = harness.tickets[ticket]
            is_launched = any(process.model == model for process in harness.processes.values())
            assert is_launched or not harness.scheduler.can_start_without_eviction(model)

    @invariant()
    def nobody_is_overtaken_by_those_who_came_much_later(self) -> None:
        """A step of priority is worth some waiting, and no more."""
        in_order = [entry.first for entry in self.harness.scheduler.models_in_turn()]
        for place, earlier in enumerate(in_order):
            for later in in_order[place + 1 :]:
                steps = PRIORITIES.index(earlier.claim.priority) - PRIORITIES.index(later.claim.priority)
                assert earlier.arrived <= later.arrived + steps * STEP

    def waiting(self) -> list[int]:
        return [ticket for ticket in self.harness.tickets if self.harness.is_waiting(ticket)]


TestQueuePromises = QueuePromises.TestCase
TestQueuePromises.settings = settings(
    max_examples=400,
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)

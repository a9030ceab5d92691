"""The plan is what the scheduler then does, and making one changes nothing."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from sparkd.catalog.settings import Queue
from sparkd.scheduling.plan import Plan, make_plan
from tests.scheduling.harness import FixedLoads, Harness, a_model


def make_plan_for(harness: Harness, model: str, load_time: float | None = 50.0) -> Plan:
    return make_plan(harness.scheduler, model, harness.now, FixedLoads(load_time))


def test_a_ready_model_is_ready() -> None:
    harness = Harness((a_model("a"),))
    harness.run_and_finish("a")
    assert (make_plan_for(harness, "a").verdict, make_plan_for(harness, "a").seconds) == ("ready", 0)


def test_an_empty_machine_launches_at_once() -> None:
    found = make_plan_for(Harness((a_model("a"),)), "a")
    assert found == Plan(
        model="a", verdict="launch", footprint=40, basis="declared", seconds=50.0, load_time=50.0
    )


def test_a_plan_names_evictions_and_seconds() -> None:
    harness = Harness((a_model("a", 60), a_model("b", 60), a_model("c", 20)))
    for name in ("a", "c"):
        harness.run_and_finish(name)
    harness.wait(30.0)
    found = make_plan_for(harness, "b")
    assert (found.verdict, found.evicts, found.seconds) == ("launch", ("a",), 52.0)


def test_a_busy_model_is_given_its_time() -> None:
    harness = Harness((a_model("a", 60, min_residency=100.0), a_model("b", 60)))
    harness.run("a")
    found = make_plan_for(harness, "b")
    assert found.evicts == ("a",)
    assert found.seconds == 100.0 + 2.0 + 50.0


def test_a_model_that_starts_is_waited_for() -> None:
    harness = Harness((a_model("a"),))
    harness.request("a")
    harness.now += 20.0
    assert (make_plan_for(harness, "a").verdict, make_plan_for(harness, "a").seconds) == ("starting", 30.0)


def test_earlier_requests_are_served_first() -> None:
    harness = Harness((a_model("a", 60), a_model("b", 60), a_model("c", 60)))
    harness.run_and_finish("a")
    harness.request("b")
    found = make_plan_for(harness, "c")
    assert (found.verdict, found.launched_before) == ("launch", ("b",))


def test_what_would_be_refused_says_why() -> None:
    harness = Harness(
        (a_model("big", 200), a_model("a", 60), a_model("b", 60)), queue=Queue(on_busy="reject")
    )
    assert "models may use only" in make_plan_for(harness, "big").reason
    harness.run_and_finish("a")
    found = make_plan_for(harness, "b")
    assert (found.verdict, found.seconds) == ("refused", None)
    assert 'the machine is in use by "a".' in found.reason


def test_without_anything_learned_no_seconds_are_made_up() -> None:
    assert make_plan_for(Harness((a_model("a"),)), "a", None).seconds is None


@settings(max_examples=150, deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["ask", "healthy", "leave", "wait", "gone"]), st.sampled_from("abcu")),
        max_size=14,
    ),
    asked=st.sampled_from("abcu"),
)
def test_the_plan_never_disagrees_with_what_is_decided(steps: list[tuple[str, str]], asked: str) -> None:
    harness = Harness(
        (a_model("a", 50), a_model("b", 30), a_model("c", 80), a_model("u", 20, lifecycle="utility"))
    )
    for step, model in steps:
        apply_step(harness, step, model)
    before = (harness.scheduler.deadline, harness.scheduler.reserved, harness.scheduler.waiting)
    found = make_plan_for(harness, asked)
    assert (harness.scheduler.deadline, harness.scheduler.reserved, harness.scheduler.waiting) == before
    assert harness.scheduler.on_tick(harness.now) == []
    launched = len(harness.launches)
    ticket = harness.request(asked)
    assert (ticket in harness.granted) == (found.verdict == "ready")
    if asked in harness.launches[launched:]:
        assert found.verdict == "launch"
    if ticket in harness.refused:
        assert (found.verdict, found.reason) == ("refused", harness.refused[ticket].message)


def apply_step(harness: Harness, step: str, model: str) -> None:
    running = [process for process in harness.processes.values() if process.model == model]
    tickets = [
        ticket for ticket, name in harness.tickets.items() if name == model and ticket not in harness.refused
    ]
    if step == "ask":
        harness.request(model)
    elif step == "wait":
        harness.wait(40.0)
    elif step == "leave" and tickets:
        harness.leave(tickets[0])
    elif step == "healthy" and running and not running[0].healthy:
        harness.become_healthy(model)
    elif step == "gone" and running:
        harness.exit_and_reclaim(model)

"""The plan is what the scheduler then does, and making one changes nothing."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from sparkd.catalog.definitions import Model
from sparkd.catalog.settings import Queue
from sparkd.scheduling.plan import Plan, plan
from tests.scheduling.house import House, a_model


def planned(house: House, model: str, load_time: float | None = 50.0) -> Plan:
    def known(_: Model) -> float | None:
        return load_time

    return plan(house.scheduler, model, house.now, known)


def test_a_ready_model_is_ready() -> None:
    house = House((a_model("a"),))
    house.rest("a")
    assert (planned(house, "a").verdict, planned(house, "a").seconds) == ("ready", 0)


def test_an_empty_machine_launches_at_once() -> None:
    found = planned(House((a_model("a"),)), "a")
    assert found == Plan(
        model="a", verdict="launch", footprint=40, basis="declared", seconds=50.0, load_time=50.0
    )


def test_who_would_be_stopped_and_how_long_it_would_take() -> None:
    house = House((a_model("a", 60), a_model("b", 60), a_model("c", 20)))
    for name in ("a", "c"):
        house.rest(name)
    house.wait(30.0)
    found = planned(house, "b")
    assert (found.verdict, found.evicts, found.seconds) == ("launch", ("a",), 52.0)


def test_a_busy_model_is_given_its_time() -> None:
    house = House((a_model("a", 60, min_residency=100.0), a_model("b", 60)))
    house.run("a")
    found = planned(house, "b")
    assert found.evicts == ("a",)
    assert found.seconds == 100.0 + 2.0 + 50.0


def test_a_model_that_starts_is_waited_for() -> None:
    house = House((a_model("a"),))
    house.ask("a")
    house.now += 20.0
    assert (planned(house, "a").verdict, planned(house, "a").seconds) == ("starting", 30.0)


def test_those_who_asked_before_have_their_turn() -> None:
    house = House((a_model("a", 60), a_model("b", 60), a_model("c", 60)))
    house.rest("a")
    house.ask("b")
    found = planned(house, "c")
    assert (found.verdict, found.before) == ("launch", ("b",))


def test_what_would_be_refused_says_why() -> None:
    house = House((a_model("big", 200), a_model("a", 60), a_model("b", 60)), queue=Queue(on_busy="reject"))
    assert "models may use only" in planned(house, "big").why
    house.rest("a")
    found = planned(house, "b")
    assert (found.verdict, found.seconds) == ("refused", None)
    assert 'the machine is in use by "a".' in found.why


def test_without_anything_learned_no_seconds_are_made_up() -> None:
    assert planned(House((a_model("a"),)), "a", None).seconds is None


@settings(max_examples=150, deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["ask", "healthy", "leave", "wait", "gone"]), st.sampled_from("abcu")),
        max_size=14,
    ),
    asked=st.sampled_from("abcu"),
)
def test_the_plan_never_disagrees_with_what_is_decided(steps: list[tuple[str, str]], asked: str) -> None:
    house = House(
        (a_model("a", 50), a_model("b", 30), a_model("c", 80), a_model("u", 20, lifecycle="utility"))
    )
    for step, model in steps:
        happen(house, step, model)
    before = (house.scheduler.deadline, house.scheduler.reserved, house.scheduler.waiting)
    found = planned(house, asked)
    assert (house.scheduler.deadline, house.scheduler.reserved, house.scheduler.waiting) == before
    assert house.scheduler.on_tick(house.now) == []
    launched = len(house.launches)
    ticket = house.ask(asked)
    assert (ticket in house.granted) == (found.verdict == "ready")
    if asked in house.launches[launched:]:
        assert found.verdict == "launch"
    if ticket in house.refused:
        assert (found.verdict, found.why) == ("refused", house.refused[ticket].message)


def happen(house: House, step: str, model: str) -> None:
    running = [process for process in house.processes.values() if process.model == model]
    tickets = [
        ticket for ticket, name in house.tickets.items() if name == model and ticket not in house.refused
    ]
    if step == "ask":
        house.ask(model)
    elif step == "wait":
        house.wait(40.0)
    elif step == "leave" and tickets:
        house.leave(tickets[0])
    elif step == "healthy" and running and not running[0].healthy:
        house.healthy(model)
    elif step == "gone" and running:
        house.gone(model)

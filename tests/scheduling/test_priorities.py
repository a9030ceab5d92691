"""Who goes first: priorities, and what waiting is worth."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkd.catalog.priority import Priority
from sparkd.catalog.settings import Queue
from sparkd.errors import QueueFull
from sparkd.scheduling.claim import Claim
from sparkd.scheduling.lifecycle import State
from sparkd.scheduling.priorities import AGEING_SHARE
from tests.scheduling.harness import Harness, a_model
from tests.scheduling.world import World

MAX_WAIT = 800.0
STEP = AGEING_SHARE * MAX_WAIT
HIGH, NORMAL, LOW = (Claim(priority=name) for name in ("high", "normal", "low"))
BACKGROUND = Claim(background=True)


def three_models(**fields: object) -> Harness:
    """One model is in use, and two others that do not fit beside it, nor beside each other, are stopped."""
    names = ("a", "b", "c")
    return Harness(tuple(a_model(name, 60, min_residency=None, **fields) for name in names), queue=queue())


def queue(**fields: object) -> Queue:
    return Queue(**{"max_wait": MAX_WAIT, "keep_place": 60.0, **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("first", "second", "after", "expected"),
    [
        (NORMAL, NORMAL, 0.0, "b"),
        (NORMAL, HIGH, STEP - 1, "c"),
        (NORMAL, HIGH, STEP + 1, "b"),
        (LOW, NORMAL, STEP - 1, "c"),
        (LOW, NORMAL, STEP + 1, "b"),
        (LOW, HIGH, 2 * STEP - 1, "c"),
        (LOW, HIGH, 2 * STEP + 1, "b"),
        (HIGH, LOW, 0.0, "b"),
    ],
)
def test_a_step_of_priority_is_worth_an_eighth_of_max_wait(
    first: Claim, second: Claim, after: float, expected: str
) -> None:
    harness = three_models()
    harness.request("a")
    harness.request("b", first)
    harness.wait(after)  # the first model still loads
    harness.request("c", second)
    assert next(entry.model.id for entry in harness.scheduler.models_in_turn()) == expected


def test_the_order_of_turns_follows_a_new_max_wait() -> None:
    harness = three_models()
    harness.request("a")
    harness.request("b", LOW)
    harness.wait(STEP - 1)
    harness.request("c", NORMAL)
    harness.queue = queue(max_wait=MAX_WAIT / 2)
    harness.reload(*harness.models)
    assert [entry.model.id for entry in harness.scheduler.models_in_turn()] == ["b", "c"]


@pytest.mark.parametrize(("resident", "waiting", "soon"), [(LOW, HIGH, True), (NORMAL, NORMAL, False)])
def test_a_busy_model_leaves_soon_for_a_more_important_request(
    resident: Claim, waiting: Claim, soon: bool
) -> None:
    harness = three_models()
    for _ in range(100):
        harness.request("a", resident)
    harness.wait(100.0)
    harness.become_healthy("a")
    harness.request("b", waiting)
    harness.wait(5.0)
    assert (harness.state("a") is State.DRAINING) is soon
    newcomer = harness.request("a", resident)
    assert harness.is_waiting(newcomer) is soon


def test_tickets_of_one_model_are_granted_in_the_order_of_their_turns() -> None:
    harness = three_models()
    tickets = [harness.request("a", claim) for claim in (BACKGROUND, LOW, NORMAL, HIGH, NORMAL)]
    harness.become_healthy("a")
    assert list(harness.granted) == [tickets[3], tickets[2], tickets[4], tickets[1], tickets[0]]


def test_beyond_max_length_the_least_important_newest_request_is_refused() -> None:
    harness = Harness((a_model("a"),), queue=queue(max_length=3))
    low, old, background, new = (harness.request("a", claim) for claim in (LOW, LOW, BACKGROUND, NORMAL))
    assert list(harness.refused) == [background]
    assert isinstance(harness.refused[background], QueueFull)
    high = harness.request("a", HIGH)
    assert list(harness.refused) == [background, old]
    harness.request("a", LOW)
    assert len(harness.refused) == 3
    assert all(map(harness.is_waiting, (low, new, high)))


@given(
    rivals=st.lists(
        st.tuples(st.floats(1.0, 90.0), st.sampled_from(["a", "b"]), st.sampled_from(["high", "normal"])),
        min_size=30,
        max_size=60,
    ),
    priority=st.sampled_from(["low", "normal", "high"]),
    load=st.floats(5.0, 80.0),
)
def test_nobody_starves(rivals: list[tuple[float, str, Priority]], priority: Priority, load: float) -> None:
    """More important requests for two other models come all the time: no request waits for `max_wait`."""
    world = World(
        tuple(a_model(name, 60, min_residency=None) for name in ("a", "b", "c")),
        queue=queue(),
        load=load,
        service=5.0,
    )
    world.request("a", HIGH)
    ticket = world.request("c", Claim(priority=priority))
    for pause, model, rival in rivals:
        world.request(model, Claim(priority=rival))
        world.pass_time(pause)
    world.pass_time(MAX_WAIT)
    assert not world.refused
    assert ticket not in world.tickets, "it was not answered"

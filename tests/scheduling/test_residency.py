"""When memory changes hands between models without a `min_residency`."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sparkd.catalog.definitions import Model
from sparkd.catalog.settings import Queue
from sparkd.scheduling.lifecycle import State
from sparkd.scheduling.residency import ASSUMED_LOAD_TIME, RELEASE_TIME, WAITING_FACTOR
from tests.scheduling.harness import Harness, a_model
from tests.scheduling.world import World


def large(id_: str, memory: int = 60, **fields: Any) -> Model:
    """A model that decides by its past. No two of 60 fit together."""
    return a_model(id_, memory, **{"min_residency": None, "idle_timeout": 0.0, **fields})


def chat(harness: Harness, model: str, *pauses: float) -> None:
    """Requests of an instant, with these pauses before them."""
    for pause in pauses:
        harness.wait(pause)
        harness.leave(harness.request(model))


def test_an_idle_model_without_a_past_makes_room_at_once() -> None:
    harness = Harness((large("a"), large("b")))
    harness.run_and_finish("a")
    harness.request("b")
    assert harness.state("a") is State.STOPPING


def test_an_idle_model_in_the_middle_of_a_chat_stays_until_the_usual_pause_is_over() -> None:
    harness = Harness((large("a"), large("b")))
    harness.run_and_finish("a")
    chat(harness, "a", 50.0, 60.0, 70.0)
    harness.wait(10.0)
    harness.request("b")
    harness.wait(60.0)
    assert harness.state("a") is State.READY
    harness.wait(10.0)
    assert harness.state("a") is State.STOPPING


def test_a_request_of_the_chat_is_still_served_meanwhile() -> None:
    harness = Harness((large("a"), large("b")))
    harness.run_and_finish("a")
    chat(harness, "a", 50.0, 60.0, 70.0)
    harness.request("b")
    harness.wait(50.0)
    assert harness.request("a") in harness.granted


def test_a_busy_model_stays_until_its_rivals_have_waited_several_times_what_the_change_costs() -> None:
    harness = Harness((large("a"), large("b")), queue=Queue(max_wait=10_000.0))
    harness.run("a")
    change = 2 * (ASSUMED_LOAD_TIME + RELEASE_TIME)
    harness.request("b")
    harness.wait(WAITING_FACTOR * change - 1.0)
    assert harness.state("a") is State.READY
    harness.wait(1.0)
    assert harness.state("a") is State.DRAINING


def test_two_waiting_requests_wait_half_as_long() -> None:
    harness = Harness((large("a"), large("b")), queue=Queue(max_wait=10_000.0))
    harness.run("a")
    change = 2 * (ASSUMED_LOAD_TIME + RELEASE_TIME)
    harness.request("b")
    harness.request("b")
    harness.wait(WAITING_FACTOR * change / 2)
    assert harness.state("a") is State.DRAINING


def test_the_shorter_session_goes_first() -> None:
    """An agent has worked for an hour each time; the one request of the other model is soon over."""
    harness = Harness((large("a"), large("b")), queue=Queue(max_wait=10_000.0))
    harness.run_and_finish("a")
    chat(harness, "a", *([30.0] * 120), 1000.0)
    harness.request("a")
    harness.wait(100.0)
    harness.request("b")
    assert harness.state("a") is State.DRAINING


def test_a_busy_model_serves_at_least_as_long_as_it_took_to_load() -> None:
    harness = Harness((large("a"), large("b")), queue=Queue(max_wait=10_000.0))
    harness.request("a")
    harness.wait(600.0)
    harness.become_healthy("a")
    for _ in range(50):
        harness.request("b")
    harness.wait(599.0)
    assert harness.state("a") is State.READY
    harness.wait(1.0)
    assert harness.state("a") is State.DRAINING


def test_the_change_begins_early_enough_for_the_oldest_request() -> None:
    harness = World(
        (large("a"), large("b")),
        queue=Queue(max_wait=900.0),
        load=300.0,
        service=5.0,
        load_times={"b": 300.0},
    )
    harness.finished = lambda _ticket, model: harness.request("a") if model == "a" else None
    harness.request("a")
    harness.pass_time(400.0)
    ticket = harness.request("b")
    harness.pass_time(899.0)
    assert ticket not in harness.refused
    assert "b" in harness.launches


def test_a_load_time_of_an_earlier_daemon_counts_before_the_first_load() -> None:
    harness = Harness((large("a"), large("b")), queue=Queue(max_wait=10_000.0), load_times={"b": 200.0})
    harness.run("a")
    harness.request("b")
    harness.wait(WAITING_FACTOR * (200.0 + ASSUMED_LOAD_TIME + 2 * RELEASE_TIME) - 1.0)
    assert harness.state("a") is State.READY
    harness.wait(1.0)
    assert harness.state("a") is State.DRAINING


def test_of_the_idle_models_one_that_loads_fast_goes_before_one_that_loads_slowly() -> None:
    slow_and_fast = {"slow": 300.0, "fast": 30.0}
    harness = Harness(
        (large("slow", 30), large("fast", 30), large("c", 60)), total=100, load_times=slow_and_fast
    )
    for model, seconds in slow_and_fast.items():
        ticket = harness.request(model)
        harness.wait(seconds)
        harness.become_healthy(model)
        harness.leave(ticket)
    harness.wait(50.0)
    harness.request("c")
    assert harness.state("fast") is State.STOPPING
    assert harness.state("slow") is State.READY


def test_a_model_that_fits_loads_while_an_older_request_waits_for_its_turn() -> None:
    harness = Harness((large("a", 60), large("big", 90), large("small", 20)))
    harness.run("a")
    older = harness.request("big")
    younger = harness.request("small")
    assert harness.launches == ["a", "small"]
    harness.become_healthy("small")
    assert younger in harness.granted
    assert harness.is_waiting(older)


def test_but_not_if_the_older_request_would_have_to_wait_for_that_load() -> None:
    harness = Harness((large("a", 60), large("big", 90), large("small", 20)))
    harness.run("a")
    harness.request("big")
    harness.wait(WAITING_FACTOR * 2 * (ASSUMED_LOAD_TIME + RELEASE_TIME) - ASSUMED_LOAD_TIME + 1.0)
    harness.request("small")
    assert harness.launches == ["a"]


def test_two_agents_that_alternate_do_not_swap_for_each_request() -> None:
    """Each asks again as soon as it has its response."""
    harness = World((large("a"), large("b")), load=60.0, service=10.0)
    harness.finished = lambda _ticket, model: harness.request(model)
    harness.request("a")
    harness.request("b")
    harness.pass_time(4 * 3600.0)
    assert not harness.refused
    assert len(harness.granted) + len(harness.tickets) > 0
    served = max(harness.tickets)
    assert served > 15 * len(harness.launches), f"{served} requests, {len(harness.launches)} loads"


@settings(max_examples=60, deadline=None)
@given(
    arrivals=st.lists(
        st.tuples(st.floats(0.0, 120.0), st.sampled_from(["a", "b", "small", "u"])), min_size=1, max_size=60
    ),
    load=st.sampled_from([5.0, 60.0, 150.0]),
    service=st.sampled_from([0.5, 20.0, 60.0]),
)
def test_no_request_is_overtaken_for_ever(
    arrivals: list[tuple[float, str]], load: float, service: float
) -> None:
    """Any arrivals: in a machine that works, each request is served before its deadline. None waits until then."""
    harness = World(
        (large("a"), large("b", 75), large("small", 20), large("u", 5, lifecycle="utility")),
        queue=Queue(max_wait=1800.0),
        load=load,
        service=service,
    )
    for pause, model in arrivals:
        harness.pass_time(pause)
        harness.request(model)
    harness.pass_time(1800.0)
    assert not harness.refused
    assert not harness.tickets, "a request was neither granted nor refused"

"""One model alone: asked for, launched, used, left, stopped; and what happens when it fails."""

from __future__ import annotations

from typing import Any

import pytest

from sparkd.catalog.settings import Failures, Queue
from sparkd.errors import ModelFailed, ModelStopped, NoRoom, QueueFull, ShuttingDown, WaitedTooLong
from sparkd.scheduling.lifecycle import LifecycleError, State
from tests.scheduling.house import House, a_model


def test_the_first_request_launches_its_model_and_is_granted_when_it_is_healthy() -> None:
    house = House((a_model("a"),))
    ticket = house.ask("a")
    assert house.launches == ["a"]
    assert house.waits(ticket)
    house.healthy("a")
    assert ticket in house.granted


def test_many_first_requests_launch_one_process() -> None:
    house = House((a_model("a"),))
    tickets = [house.ask("a") for _ in range(50)]
    house.healthy("a")
    assert house.launches == ["a"]
    assert all(ticket in house.granted for ticket in tickets)


def test_a_request_for_a_ready_model_is_granted_at_once() -> None:
    house = House((a_model("a"),))
    house.rest("a")
    assert house.ask("a") in house.granted


def test_an_idle_model_is_stopped_counted_from_the_end_of_its_last_request() -> None:
    house = House((a_model("a", idle_timeout=100.0),))
    ticket = house.run("a")
    house.wait(5000.0)
    assert house.state("a") is State.READY, "a request in flight protects"
    house.leave(ticket)
    house.wait(99.0)
    assert house.state("a") is State.READY
    house.wait(1.0)
    assert house.state("a") is State.STOPPING
    assert house.reasons == ["idle for 100 seconds"]


@pytest.mark.parametrize("fields", [{"idle_timeout": 0.0}, {"pinned": True}])
def test_some_models_are_never_stopped_for_idleness(fields: dict[str, Any]) -> None:
    house = House((a_model("a", **fields),))
    house.rest("a")
    house.wait(1_000_000.0)
    assert house.state("a") is State.READY


def test_a_request_that_arrives_while_its_model_stops_brings_it_back_afterwards() -> None:
    """Where llama-swap saw "stopping", skipped the start and hung for ever."""
    house = House((a_model("a", idle_timeout=100.0),))
    house.rest("a")
    house.wait(100.0)
    ticket = house.ask("a")
    assert house.waits(ticket)
    house.exits("a")
    assert house.launches == ["a"], "its memory is not back yet"
    house.reclaimed("a")
    assert house.launches == ["a", "a"]
    house.healthy("a")
    assert ticket in house.granted


def test_a_client_that_leaves_the_queue_is_forgotten_and_the_start_goes_on() -> None:
    house = House((a_model("a"),))
    house.leave(house.ask("a"))
    house.healthy("a")
    assert house.state("a") is State.READY
    assert house.granted == {}


def test_patience_ends_after_max_wait() -> None:
    house = House((a_model("a"),), queue=Queue(max_wait=60.0))
    ticket = house.ask("a")
    house.wait(59.0)
    assert house.waits(ticket)
    house.wait(1.0)
    error = house.refused[ticket]
    assert isinstance(error, WaitedTooLong)
    assert error.message == 'Model "a" was not ready within 60 seconds: it is still starting.'
    assert error.retry_after == 1.0


def test_a_full_queue_refuses_the_newest() -> None:
    house = House((a_model("a"),), queue=Queue(max_length=2))
    first, second, third = (house.ask("a") for _ in range(3))
    assert isinstance(house.refused[third], QueueFull)
    assert house.refused[third].message == "2 requests are waiting already, which is the limit."
    assert house.waits(first)
    assert house.waits(second)


def test_a_crash_during_the_start_refuses_who_waits_and_says_why_and_when() -> None:
    house = House((a_model("a"),), failures=Failures(backoff=5.0))
    ticket = house.ask("a")
    house.exits("a", "Its memory did not suffice.")
    error = house.refused[ticket]
    assert isinstance(error, ModelFailed)
    assert error.message == 'Model "a" failed: Its memory did not suffice.'
    assert error.retry_after == 5.0


def test_pauses_double_and_end_in_quarantine_until_the_operator_says_so() -> None:
    house = House((a_model("a"),), failures=Failures(backoff=5.0, backoff_max=15.0, max_failures=4))
    for pause in (5.0, 10.0, 15.0):
        house.ask("a")
        house.gone("a")
        refused = house.ask("a")
        assert house.refused[refused].retry_after == pause
        house.wait(pause)
    house.ask("a")
    house.gone("a")
    house.wait(1_000_000.0)
    error = house.refused[house.ask("a")]
    assert error.retry_after is None
    assert "is quarantined after 4 failures in a row: " in error.message
    house.retry("a")
    assert house.waits(house.ask("a"))
    assert house.state("a") is State.STARTING


def test_a_crash_after_a_long_good_time_is_a_first_failure() -> None:
    house = House((a_model("a"),), failures=Failures(backoff=5.0, backoff_max=300.0, max_failures=2))
    for _ in range(5):
        ticket = house.run("a")
        house.wait(300.0)
        house.gone("a")
        assert house.state("a") is State.BACKOFF
        house.leave(ticket)
        house.wait(5.0)
    assert house.state("a") is State.STOPPED


def test_a_crash_before_it_served_for_long_is_one_of_a_row() -> None:
    house = House((a_model("a"),), failures=Failures(backoff=5.0, max_failures=2))
    for _ in range(2):
        house.leave(house.run("a"))
        house.gone("a")
        house.wait(5.0)
    assert house.scheduler.entry("a") is not None
    assert isinstance(house.refused[house.ask("a")], ModelFailed)


def test_a_model_that_never_gets_ready_is_ended_at_its_start_deadline() -> None:
    house = House((a_model("a", start_timeout=60.0),))
    ticket = house.ask("a")
    house.wait(60.0)
    assert house.reasons == ["start timeout"]
    assert (
        house.refused[ticket].message
        == 'Model "a" failed: it was not ready within 60 seconds. Check its log, or raise start_timeout.'
    )
    house.healthy("a")
    assert house.state("a") is State.BACKOFF, "a late answer of the probe changes nothing"
    house.gone("a")
    house.wait(5.0)
    assert house.state("a") is State.STOPPED


def test_nothing_is_launched_while_a_failed_process_still_holds_memory() -> None:
    house = House((a_model("a", start_timeout=60.0), a_model("b")))
    house.ask("a")
    house.wait(60.0)
    ticket = house.ask("b")
    house.wait(100.0)
    assert house.launches == ["a"]
    assert house.waits(ticket)
    house.gone("a")
    assert house.launches == ["a", "b"]


def test_a_lease_on_a_crashed_run_does_not_touch_the_next_one() -> None:
    """Tokens without identity free twice."""
    house = House((a_model("a", idle_timeout=100.0),))
    stale = house.run("a")
    house.gone("a")
    house.wait(5.0)
    fresh = house.run("a")
    house.leave(stale)
    house.wait(1000.0)
    assert house.state("a") is State.READY, "the fresh lease still protects"
    house.leave(fresh)
    house.wait(100.0)
    assert house.state("a") is State.STOPPING


def test_an_operator_stops_a_model_politely() -> None:
    house = House((a_model("a"),))
    ticket = house.run("a")
    house.stop("a")
    assert house.state("a") is State.DRAINING
    assert house.reasons == []
    house.leave(ticket)
    assert house.reasons == ["the operator stopped it"]


def test_an_operator_stops_a_start_and_whoever_waits_for_it_is_told() -> None:
    house = House((a_model("a"),))
    ticket = house.ask("a")
    house.stop("a")
    assert house.state("a") is State.STOPPING
    assert isinstance(house.refused[ticket], ModelStopped)


def test_a_drain_ends_at_its_deadline_even_under_a_lease() -> None:
    house = House((a_model("a", drain_timeout=20.0),))
    house.run("a")
    house.stop("a")
    house.wait(19.0)
    assert house.state("a") is State.DRAINING
    house.wait(1.0)
    assert house.state("a") is State.STOPPING


def test_shutting_down_refuses_who_waits_and_drains_who_is_served() -> None:
    house = House((a_model("a"), a_model("b")), total=100)
    served = house.run("a")
    waiting = house.ask("b")
    house.shut_down()
    assert isinstance(house.refused[waiting], ShuttingDown)
    assert isinstance(house.refused[house.ask("a")], ShuttingDown)
    assert house.state("a") is State.DRAINING
    assert house.state("b") is State.STOPPING
    house.leave(served)
    assert house.state("a") is State.STOPPING


def test_a_model_larger_than_the_budget_is_refused_at_once() -> None:
    house = House((a_model("a", memory=3 * 2**30),), total=2 * 2**30)
    error = house.refused[house.ask("a")]
    assert isinstance(error, NoRoom)
    assert error.message == 'Model "a" needs 3.0 GiB, but models may use only 2.0 GiB. Lower its memory.'


def test_an_event_that_its_state_does_not_list_is_a_bug_and_raises() -> None:
    house = House((a_model("a"),))
    house.rest("a")
    with pytest.raises(LifecycleError, match="run 7 of a is not in the ledger"):
        house.scheduler.on_exited("a", 7, "", house.now)
    with pytest.raises(LifecycleError, match="reclaimed cannot happen to a model that is ready"):
        house.scheduler.on_reclaimed("a", house.process("a").run, house.now)


def test_an_engine_that_stands_still_has_failed_and_is_told_to_go() -> None:
    house = House((a_model("a"),))
    house.run("a")
    house.note(house.scheduler.on_wedged("a", house.process("a").run, "It stood still.", house.now))
    assert house.state("a") is State.BACKOFF
    assert house.process("a").told
    house.gone("a")
    assert house.refused[house.ask("a")].message == 'Model "a" failed: It stood still.'


def test_one_that_is_leaving_anyway_is_not_told_twice() -> None:
    house = House((a_model("a"),))
    house.run("a")
    house.stop("a")
    house.note(house.scheduler.on_wedged("a", house.process("a").run, "It stood still.", house.now))
    assert house.state("a") is State.DRAINING

"""One model alone: asked for, launched, used, left, stopped; and what happens when it fails."""

from __future__ import annotations

from typing import Any

import pytest

from sparkd.catalog.settings import Failures, Queue
from sparkd.errors import InsufficientMemory, ModelFailed, ModelStopped, QueueFull, ShuttingDown, WaitTimeout
from sparkd.scheduling.lifecycle import LifecycleError, State
from tests.scheduling.harness import Harness, a_model


def test_the_first_request_launches_its_model_and_is_granted_when_it_is_healthy() -> None:
    harness = Harness((a_model("a"),))
    ticket = harness.request("a")
    assert harness.launches == ["a"]
    assert harness.is_waiting(ticket)
    harness.become_healthy("a")
    assert ticket in harness.granted


def test_many_first_requests_launch_one_process() -> None:
    harness = Harness((a_model("a"),))
    tickets = [harness.request("a") for _ in range(50)]
    harness.become_healthy("a")
    assert harness.launches == ["a"]
    assert all(ticket in harness.granted for ticket in tickets)


def test_a_request_for_a_ready_model_is_granted_at_once() -> None:
    harness = Harness((a_model("a"),))
    harness.run_and_finish("a")
    assert harness.request("a") in harness.granted


def test_an_idle_model_is_stopped_counted_from_the_end_of_its_last_request() -> None:
    harness = Harness((a_model("a", idle_timeout=100.0),))
    ticket = harness.run("a")
    harness.wait(5000.0)
    assert harness.state("a") is State.READY, "a request in flight protects"
    harness.leave(ticket)
    harness.wait(99.0)
    assert harness.state("a") is State.READY
    harness.wait(1.0)
    assert harness.state("a") is State.STOPPING
    assert harness.reasons == ["idle for 100 seconds"]


@pytest.mark.parametrize("fields", [{"idle_timeout": 0.0}, {"pinned": True}])
def test_some_models_are_never_stopped_for_idleness(fields: dict[str, Any]) -> None:
    harness = Harness((a_model("a", **fields),))
    harness.run_and_finish("a")
    harness.wait(1_000_000.0)
    assert harness.state("a") is State.READY


def test_a_request_that_arrives_while_its_model_stops_brings_it_back_afterwards() -> None:
    """Where llama-swap saw "stopping", skipped the start and hung for ever."""
    harness = Harness((a_model("a", idle_timeout=100.0),))
    harness.run_and_finish("a")
    harness.wait(100.0)
    ticket = harness.request("a")
    assert harness.is_waiting(ticket)
    harness.exit("a")
    assert harness.launches == ["a"], "its memory is not back yet"
    harness.reclaim("a")
    assert harness.launches == ["a", "a"]
    harness.become_healthy("a")
    assert ticket in harness.granted


def test_a_client_that_leaves_the_queue_is_forgotten_and_the_start_goes_on() -> None:
    harness = Harness((a_model("a"),))
    harness.leave(harness.request("a"))
    harness.become_healthy("a")
    assert harness.state("a") is State.READY
    assert harness.granted == {}


def test_patience_ends_after_max_wait() -> None:
    harness = Harness((a_model("a"),), queue=Queue(max_wait=60.0))
    ticket = harness.request("a")
    harness.wait(59.0)
    assert harness.is_waiting(ticket)
    harness.wait(1.0)
    error = harness.refused[ticket]
    assert isinstance(error, WaitTimeout)
    assert error.message == 'Model "a" was not ready within 60 seconds: it is still starting.'


def test_a_full_queue_refuses_the_newest() -> None:
    harness = Harness((a_model("a"),), queue=Queue(max_length=2))
    first, second, third = (harness.request("a") for _ in range(3))
    assert isinstance(harness.refused[third], QueueFull)
    assert harness.refused[third].message == "2 requests are waiting already, which is the limit."
    assert harness.is_waiting(first)
    assert harness.is_waiting(second)


def test_a_crash_during_the_start_refuses_waiting_requests_with_cause_and_retry_after() -> None:
    harness = Harness((a_model("a"),), failures=Failures(backoff=5.0))
    ticket = harness.request("a")
    harness.exit("a", "Its memory did not suffice.")
    error = harness.refused[ticket]
    assert isinstance(error, ModelFailed)
    assert error.message == 'Model "a" failed: Its memory did not suffice.'
    assert error.retry_after == 5.0


def test_pauses_double_and_end_in_quarantine_until_the_operator_says_so() -> None:
    harness = Harness((a_model("a"),), failures=Failures(backoff=5.0, backoff_max=15.0, max_failures=4))
    for pause in (5.0, 10.0, 15.0):
        harness.request("a")
        harness.exit_and_reclaim("a")
        refused = harness.request("a")
        assert harness.refused[refused].retry_after == pause
        harness.wait(pause)
    harness.request("a")
    harness.exit_and_reclaim("a")
    harness.wait(1_000_000.0)
    error = harness.refused[harness.request("a")]
    assert error.retry_after is None
    assert "is quarantined after 4 failures in a row: " in error.message
    harness.retry("a")
    assert harness.is_waiting(harness.request("a"))
    assert harness.state("a") is State.STARTING


def test_a_crash_after_a_long_good_time_is_a_first_failure() -> None:
    harness = Harness((a_model("a"),), failures=Failures(backoff=5.0, backoff_max=300.0, max_failures=2))
    for _ in range(5):
        ticket = harness.run("a")
        harness.wait(300.0)
        harness.exit_and_reclaim("a")
        assert harness.state("a") is State.BACKOFF
        harness.leave(ticket)
        harness.wait(5.0)
    assert harness.state("a") is State.STOPPED


def test_a_crash_before_it_served_for_long_is_one_of_a_row() -> None:
    harness = Harness((a_model("a"),), failures=Failures(backoff=5.0, max_failures=2))
    for _ in range(2):
        harness.leave(harness.run("a"))
        harness.exit_and_reclaim("a")
        harness.wait(5.0)
    assert harness.scheduler.entry("a") is not None
    assert isinstance(harness.refused[harness.request("a")], ModelFailed)


def test_a_model_that_never_gets_ready_is_ended_at_its_start_deadline() -> None:
    harness = Harness((a_model("a", start_timeout=60.0),))
    ticket = harness.request("a")
    harness.wait(60.0)
    assert harness.reasons == ["start timeout"]
    assert (
        harness.refused[ticket].message
        == 'Model "a" failed: it was not ready within 60 seconds. Check its log, or raise start_timeout.'
    )
    harness.become_healthy("a")
    assert harness.state("a") is State.BACKOFF, "a late answer of the probe changes nothing"
    harness.exit_and_reclaim("a")
    harness.wait(5.0)
    assert harness.state("a") is State.STOPPED


def test_nothing_is_launched_while_a_failed_process_still_holds_memory() -> None:
    harness = Harness((a_model("a", start_timeout=60.0), a_model("b")))
    harness.request("a")
    harness.wait(60.0)
    ticket = harness.request("b")
    harness.wait(100.0)
    assert harness.launches == ["a"]
    assert harness.is_waiting(ticket)
    harness.exit_and_reclaim("a")
    assert harness.launches == ["a", "b"]


def test_a_lease_on_a_crashed_run_does_not_touch_the_next_one() -> None:
    """Tokens without identity free twice."""
    harness = Harness((a_model("a", idle_timeout=100.0),))
    stale = harness.run("a")
    harness.exit_and_reclaim("a")
    harness.wait(5.0)
    fresh = harness.run("a")
    harness.leave(stale)
    harness.wait(1000.0)
    assert harness.state("a") is State.READY, "the fresh lease still protects"
    harness.leave(fresh)
    harness.wait(100.0)
    assert harness.state("a") is State.STOPPING


def test_an_operator_stops_a_model_politely() -> None:
    harness = Harness((a_model("a"),))
    ticket = harness.run("a")
    harness.stop("a")
    assert harness.state("a") is State.DRAINING
    assert harness.reasons == []
    harness.leave(ticket)
    assert harness.reasons == ["the operator stopped it"]


def test_stopping_a_model_that_is_starting_refuses_its_waiting_requests() -> None:
    harness = Harness((a_model("a"),))
    ticket = harness.request("a")
    harness.stop("a")
    assert harness.state("a") is State.STOPPING
    assert isinstance(harness.refused[ticket], ModelStopped)


def test_a_drain_ends_at_its_deadline_even_under_a_lease() -> None:
    harness = Harness((a_model("a", drain_timeout=20.0),))
    harness.run("a")
    harness.stop("a")
    harness.wait(19.0)
    assert harness.state("a") is State.DRAINING
    harness.wait(1.0)
    assert harness.state("a") is State.STOPPING


def test_shutdown_refuses_waiting_requests_and_drains_leases() -> None:
    harness = Harness((a_model("a"), a_model("b")), total=100)
    served = harness.run("a")
    waiting = harness.request("b")
    harness.shut_down()
    assert isinstance(harness.refused[waiting], ShuttingDown)
    assert isinstance(harness.refused[harness.request("a")], ShuttingDown)
    assert harness.state("a") is State.DRAINING
    assert harness.state("b") is State.STOPPING
    harness.leave(served)
    assert harness.state("a") is State.STOPPING


def test_a_model_larger_than_the_budget_is_refused_at_once() -> None:
    harness = Harness((a_model("a", memory=3 * 2**30),), total=2 * 2**30)
    error = harness.refused[harness.request("a")]
    assert isinstance(error, InsufficientMemory)
    assert error.message == 'Model "a" needs 3.0 GiB, but models may use only 2.0 GiB. Lower its memory.'


def test_an_event_that_its_state_does_not_list_is_a_bug_and_raises() -> None:
    harness = Harness((a_model("a"),))
    harness.run_and_finish("a")
    with pytest.raises(LifecycleError, match="run 7 of a is not in the ledger"):
        harness.scheduler.on_exited("a", 7, "", harness.now)
    with pytest.raises(LifecycleError, match="reclaimed cannot happen to a model that is ready"):
        harness.scheduler.on_reclaimed("a", harness.process("a").run, harness.now)


def test_a_wedged_engine_has_failed_and_is_terminated() -> None:
    harness = Harness((a_model("a"),))
    harness.run("a")
    harness.apply(harness.scheduler.on_wedged("a", harness.process("a").run, "It stood still.", harness.now))
    assert harness.state("a") is State.BACKOFF
    assert harness.process("a").terminated
    harness.exit_and_reclaim("a")
    assert harness.refused[harness.request("a")].message == 'Model "a" failed: It stood still.'


def test_a_failure_that_a_request_is_to_blame_for_lets_others_wait() -> None:
    harness = Harness((a_model("a"),), failures=Failures(max_failures=2))
    harness.run("a")
    for _ in range(5):
        harness.exit("a", forgiven=True)
        waiting = harness.request("a")
        assert harness.is_waiting(waiting)
        harness.reclaim("a")
        harness.become_healthy("a")
        assert waiting in harness.granted


def test_a_wedged_engine_that_a_request_is_to_blame_for_lets_others_wait() -> None:
    harness = Harness((a_model("a"),))
    harness.run("a")
    run = harness.process("a").run
    harness.apply(harness.scheduler.on_wedged("a", run, "It stood still.", harness.now, forgiven=True))
    assert harness.process("a").terminated
    waiting = harness.request("a")
    assert harness.is_waiting(waiting)
    harness.exit_and_reclaim("a")
    harness.become_healthy("a")
    assert waiting in harness.granted


def test_a_model_that_is_stopping_is_not_terminated_twice() -> None:
    harness = Harness((a_model("a"),))
    harness.run("a")
    harness.stop("a")
    harness.apply(harness.scheduler.on_wedged("a", harness.process("a").run, "It stood still.", harness.now))
    assert harness.state("a") is State.DRAINING

"""Several models and not enough memory for all of them."""

from __future__ import annotations

from typing import Any

import pytest

from sparkd.catalog.settings import Queue
from sparkd.errors import InsufficientMemory, ModelBusy
from sparkd.scheduling.forecaster import Forecaster
from sparkd.scheduling.lifecycle import State
from sparkd.scheduling.simulation import ASSUMED_STOP_TIME
from tests.scheduling.harness import FixedLoads, Harness, a_model


def brief(id_: str, memory: int | None = 60, **fields: Any) -> Any:
    """A model without a residency of its own, so that a test need not wait for it."""
    return a_model(id_, memory, **{"min_residency": 0.0, **fields})


def test_models_that_fit_together_stay_together() -> None:
    harness = Harness((a_model("a", 40), a_model("b", 60)))
    harness.run_and_finish("a")
    harness.run_and_finish("b")
    assert harness.state("a") is harness.state("b") is State.READY


def test_one_start_at_a_time() -> None:
    harness = Harness((a_model("a", 40), a_model("b", 40)))
    harness.request("a")
    harness.request("b")
    assert harness.launches == ["a"]
    harness.become_healthy("a")
    assert harness.launches == ["a", "b"]


def test_an_idle_model_goes_for_another_and_its_memory_must_be_back_first() -> None:
    harness = Harness((brief("a"), brief("b")))
    harness.run_and_finish("a")
    harness.request("b")
    assert harness.reasons == ["making room for b"]
    assert harness.launches == ["a"]
    harness.exit("a")
    assert harness.launches == ["a"]
    harness.reclaim("a")
    assert harness.launches == ["a", "b"]


def test_the_least_recently_used_idle_model_goes_first() -> None:
    harness = Harness((brief("a", 30), brief("b", 30), brief("c", 30), brief("d", 30)))
    for model in ("a", "b", "c"):
        harness.run_and_finish(model)
        harness.wait(1.0)
    harness.leave(harness.request("a"))
    harness.request("d")
    assert harness.state("b") is State.STOPPING
    assert harness.state("a") is harness.state("c") is State.READY


def test_an_idle_model_goes_before_a_busy_one() -> None:
    harness = Harness((brief("a", 50), brief("b", 50), brief("c", 50)))
    harness.run("a")
    harness.wait(1.0)
    harness.run_and_finish("b")
    harness.request("c")
    assert harness.state("a") is State.READY
    assert harness.state("b") is State.STOPPING


def test_no_model_is_evicted_in_vain() -> None:
    harness = Harness((brief("small", 10), brief("big", 80), brief("c", 85)))
    harness.run_and_finish("small")
    harness.wait(1.0)
    harness.run_and_finish("big")
    harness.request("c")
    assert harness.state("small") is State.READY, "the big one alone makes the room"
    assert harness.state("big") is State.STOPPING


def test_a_busy_model_is_drained_and_takes_no_newcomers() -> None:
    harness = Harness((brief("a"), brief("b")))
    served = harness.run("a")
    waiting = harness.request("b")
    newcomer = harness.request("a")
    assert harness.state("a") is State.DRAINING
    assert harness.is_waiting(newcomer)
    harness.leave(served)
    harness.exit_and_reclaim("a")
    harness.become_healthy("b")
    assert waiting in harness.granted
    assert harness.is_waiting(newcomer)


def test_a_busy_model_that_keeps_taking_newcomers_starves_nobody() -> None:
    """A rival waits at most the residency, then what is in flight."""
    harness = Harness((a_model("a", 60, min_residency=30.0), a_model("b", 60)))
    leases = [harness.run("a")]
    rival = harness.request("b")
    for _ in range(29):
        harness.wait(1.0)
        leases.append(harness.request("a"))
        harness.leave(leases.pop(0))
    assert leases[-1] in harness.granted, "within the residency the resident model is served on"
    harness.wait(1.0)
    late = harness.request("a")
    assert harness.is_waiting(late)
    harness.leave(leases.pop())
    harness.exit_and_reclaim("a")
    harness.become_healthy("b")
    assert rival in harness.granted


def test_a_busy_model_stays_at_least_as_long_as_it_took_to_load() -> None:
    harness = Harness((a_model("a", 60, min_residency=30.0), a_model("b", 60)))
    ticket = harness.request("a")
    harness.wait(200.0)
    harness.become_healthy("a")
    harness.request("b")
    harness.wait(199.0)
    assert harness.state("a") is State.READY
    harness.wait(1.0)
    assert harness.state("a") is State.DRAINING
    harness.leave(ticket)
    assert harness.state("a") is State.STOPPING


def test_an_idle_model_stays_only_its_min_residency() -> None:
    harness = Harness((a_model("a", 60, min_residency=30.0), a_model("b", 60)))
    ticket = harness.request("a")
    harness.wait(200.0)
    harness.become_healthy("a")
    harness.leave(ticket)
    harness.request("b")
    harness.wait(29.0)
    assert harness.state("a") is State.READY
    harness.wait(1.0)
    assert harness.state("a") is State.STOPPING


def test_a_place_that_becomes_idle_is_a_rivals_at_once() -> None:
    harness = Harness((a_model("a", 60, min_residency=0.0), a_model("b", 60)))
    ticket = harness.request("a")
    harness.wait(200.0)
    harness.become_healthy("a")
    harness.request("b")
    harness.wait(10.0)
    assert harness.state("a") is State.READY, "busy, it stays as long as it took to load"
    harness.leave(ticket)
    assert harness.state("a") is State.STOPPING


def test_an_idle_model_is_served_on_while_another_one_starts() -> None:
    harness = Harness((a_model("a", 40, idle_timeout=10.0), a_model("b", 40)))
    harness.run_and_finish("a")
    harness.request("b")
    harness.wait(20.0)
    assert harness.state("a") is State.READY
    assert harness.request("a") in harness.granted


def test_residency_ends_when_half_of_the_rivals_patience_is_spent() -> None:
    harness = Harness(
        (a_model("a", 60, min_residency=10_000.0), a_model("b", 60)), queue=Queue(max_wait=100.0)
    )
    harness.run_and_finish("a")
    harness.request("b")
    harness.wait(49.0)
    assert harness.state("a") is State.READY
    harness.wait(1.0)
    assert harness.state("a") is State.STOPPING


def test_two_clients_that_alternate_take_turns_instead_of_swapping_at_every_request() -> None:
    harness = Harness((a_model("a", 60, min_residency=30.0), a_model("b", 60, min_residency=30.0)))
    harness.run_and_finish("a")
    for _ in range(3):
        waiting = harness.request("b")
        for _ in range(20):
            harness.leave(harness.request("a"))
            harness.wait(1.0)
        harness.wait(10.0)
        harness.exit_and_reclaim("a")
        harness.become_healthy("b")
        harness.leave(waiting)
        waiting = harness.request("a")
        harness.wait(30.0)
        harness.exit_and_reclaim("b")
        harness.become_healthy("a")
        harness.leave(waiting)
    assert harness.launches == ["a", "b"] * 3 + ["a"]


def test_a_fresh_model_serves_its_own_request_before_it_goes_for_a_rival() -> None:
    harness = Harness((brief("a"), brief("b")))
    first = harness.request("a")
    harness.request("b")
    harness.become_healthy("a")
    assert first in harness.granted
    assert harness.state("a") is State.DRAINING


def test_the_queue_is_served_in_order_of_arrival() -> None:
    harness = Harness((brief("a"), brief("b"), brief("c")))
    harness.run_and_finish("a")
    harness.request("c")
    harness.request("b")
    harness.exit_and_reclaim("a")
    assert harness.launches == ["a", "c"]


def test_a_pinned_model_is_never_evicted() -> None:
    gib = 2**30
    harness = Harness((a_model("a", 60 * gib, pinned=True), brief("b", 60 * gib)), total=100 * gib)
    harness.run_and_finish("a")
    error = harness.refused[harness.request("b")]
    assert isinstance(error, InsufficientMemory)
    assert (
        error.message
        == 'Model "b" needs 60.0 GiB, but pinned models leave too little memory. Stop or unpin "a".'
    )


def test_the_utility_lives_beside_whichever_main_model_there_is() -> None:
    harness = Harness((brief("a", 60), brief("b", 80), a_model("u", 20, lifecycle="utility")))
    harness.run_and_finish("a")
    harness.run_and_finish("u")
    harness.request("b")
    harness.exit_and_reclaim("a")
    harness.become_healthy("b")
    assert harness.state("b") is harness.state("u") is State.READY


def test_a_utility_is_not_evicted_by_a_main_model() -> None:
    harness = Harness((brief("a", 80), brief("b", 80), brief("u", 20, lifecycle="utility")))
    harness.run_and_finish("u")
    harness.run_and_finish("a")
    harness.request("b")
    assert harness.state("u") is State.READY
    assert harness.state("a") is State.STOPPING


def test_a_utility_does_not_wait_in_the_main_models_line() -> None:
    harness = Harness((a_model("a", 80), brief("b", 80), brief("u", 20, lifecycle="utility")))
    harness.run("a")
    harness.request("b")
    harness.request("u")
    harness.become_healthy("u")
    assert harness.state("u") is State.READY
    assert harness.state("a") is State.READY


def test_a_main_model_does_not_stop_while_the_utility_starts() -> None:
    """Engines measure the memory of the whole machine while they start."""
    harness = Harness((brief("a", 80), brief("b", 80), brief("u", 20, lifecycle="utility")))
    served = harness.run("a")
    harness.request("b")
    harness.request("u")
    harness.leave(served)
    assert harness.state("a") is State.DRAINING
    assert harness.reasons == []
    harness.become_healthy("u")
    assert harness.state("a") is State.STOPPING


def test_a_normal_model_must_leave_the_utilitys_place_free() -> None:
    harness = Harness((brief("a", 90), brief("u", 20, lifecycle="utility")))
    assert isinstance(harness.refused[harness.request("a")], InsufficientMemory)


def test_a_model_that_declares_nothing_takes_what_the_utility_leaves() -> None:
    harness = Harness((brief("a", None), brief("u", 20, lifecycle="utility")))
    harness.run_and_finish("a")
    harness.run_and_finish("u")
    assert harness.scheduler.reserved == 100


def test_an_exclusive_model_needs_an_empty_machine() -> None:
    harness = Harness(
        (brief("a", 10), brief("u", 10, lifecycle="utility"), brief("x", 10, lifecycle="exclusive"))
    )
    harness.run_and_finish("a")
    harness.run_and_finish("u")
    harness.request("x")
    assert harness.state("a") is harness.state("u") is State.STOPPING
    harness.exit_and_reclaim("a")
    assert "x" not in harness.launches
    harness.exit_and_reclaim("u")
    harness.become_healthy("x")
    harness.request("u")
    assert harness.launches == ["a", "u", "x"]


def test_the_utility_does_not_come_back_while_an_exclusive_model_waits() -> None:
    harness = Harness(
        (brief("a", 10), brief("u", 10, lifecycle="utility"), brief("x", 10, lifecycle="exclusive"))
    )
    served = harness.run("a")
    harness.run_and_finish("u")
    harness.request("x")
    harness.exit_and_reclaim("u")
    harness.request("u")
    assert harness.launches == ["a", "u"]
    harness.leave(served)
    harness.exit_and_reclaim("a")
    assert harness.launches == ["a", "u", "x"]


def test_without_a_queue_a_rival_of_a_busy_model_is_refused_at_once() -> None:
    harness = Harness(
        (a_model("a", 60, idle_timeout=1200.0), a_model("b", 60)), queue=Queue(on_busy="reject")
    )
    harness.run("a")
    harness.wait(40.0)
    error = harness.refused[harness.request("b")]
    assert isinstance(error, ModelBusy)
    assert error.message == 'Model "b" cannot start now: the machine is in use by "a".'
    (holder,) = error.holders
    assert (holder.model, holder.uptime, holder.idle) == ("a", 40.0, 0.0)
    assert (holder.release, holder.auto_stop) == (1200.0, True)
    assert harness.state("a") is State.READY


def test_without_a_queue_an_idle_model_still_makes_room() -> None:
    """The predecessor answered 429 even then."""
    harness = Harness((brief("a"), brief("b")), queue=Queue(on_busy="reject"))
    harness.run_and_finish("a")
    ticket = harness.request("b")
    assert harness.is_waiting(ticket)
    harness.exit_and_reclaim("a")
    harness.become_healthy("b")
    assert ticket in harness.granted


def test_without_a_queue_the_time_to_come_back_is_true() -> None:
    harness = Harness((a_model("a", 60, min_residency=30.0), a_model("b", 60)), queue=Queue(on_busy="reject"))
    harness.run_and_finish("a")
    harness.wait(10.0)
    assert harness.request("b") in harness.refused
    retry_after = Forecaster(harness.scheduler, FixedLoads(50.0)).time_to_launch("b", harness.now)
    assert retry_after == pytest.approx(20.0 + ASSUMED_STOP_TIME)
    harness.wait(20.0)
    assert harness.is_waiting(harness.request("b"))


def test_without_a_queue_requests_for_the_model_that_starts_may_wait() -> None:
    harness = Harness((a_model("a", 60), a_model("b", 60)), queue=Queue(on_busy="reject"))
    first, second = harness.request("a"), harness.request("a")
    other = harness.request("b")
    assert harness.is_waiting(first)
    assert harness.is_waiting(second)
    assert isinstance(harness.refused[other], ModelBusy)


def test_without_a_queue_no_request_waits_behind_another_model() -> None:
    harness = Harness((brief("a"), brief("b"), brief("c")), queue=Queue(on_busy="reject"))
    harness.run_and_finish("a")
    first = harness.request("b")
    assert harness.is_waiting(first), "the place is being made"
    assert isinstance(harness.refused[harness.request("c")], ModelBusy)


def test_without_a_queue_the_utilitys_start_refuses_nobody() -> None:
    harness = Harness(
        (brief("a"), brief("b"), brief("u", 20, lifecycle="utility")), queue=Queue(on_busy="reject")
    )
    served = harness.run("a")
    harness.stop("a")
    waiting = harness.request("b")
    harness.request("u")
    assert harness.state("u") is State.STARTING
    assert harness.is_waiting(waiting)
    harness.become_healthy("u")
    harness.leave(served)
    harness.exit_and_reclaim("a")
    harness.become_healthy("b")
    assert waiting in harness.granted


def test_what_a_model_taught_is_kept_while_it_is_stopped() -> None:
    harness = Harness((a_model("a", idle_timeout=10.0),))
    ticket = harness.request("a")
    harness.wait(200.0)
    harness.become_healthy("a")
    harness.leave(ticket)
    harness.wait(10.0)
    harness.exit_and_reclaim("a")
    assert harness.state("a") is State.STOPPED
    entry = harness.scheduler.entry("a")
    assert entry is not None
    assert entry.load_time == 200.0


def test_with_one_slot_two_models_that_would_fit_take_turns_and_the_utility_stays() -> None:
    models = (a_model("a", 10), a_model("b", 10), a_model("u", 10, lifecycle="utility"))
    harness = Harness(models, slots=1)
    harness.run_and_finish("u")
    harness.run_and_finish("a")
    harness.wait(30.0)
    harness.request("b")
    assert harness.state("a") is State.STOPPING
    harness.exit_and_reclaim("a")
    harness.become_healthy("b")
    assert harness.state("u") is State.READY


def test_without_slots_as_many_stay_as_fit() -> None:
    harness = Harness((a_model("a", 10), a_model("b", 10)))
    harness.run_and_finish("a")
    harness.run_and_finish("b")
    assert harness.state("a") is harness.state("b") is State.READY

"""Several models and not enough memory for all of them."""

from __future__ import annotations

from typing import Any

import pytest

from sparkd.catalog.settings import Queue
from sparkd.errors import ModelBusy, NoRoom
from sparkd.scheduling.lifecycle import State
from tests.scheduling.house import House, a_model


def brief(id_: str, memory: int | None = 60, **fields: Any) -> Any:
    """A model without a residency of its own, so that a test need not wait for it."""
    return a_model(id_, memory, **{"min_residency": 0.0, **fields})


def test_models_that_fit_together_stay_together() -> None:
    house = House((a_model("a", 40), a_model("b", 60)))
    house.rest("a")
    house.rest("b")
    assert house.state("a") is house.state("b") is State.READY


def test_one_start_at_a_time() -> None:
    house = House((a_model("a", 40), a_model("b", 40)))
    house.ask("a")
    house.ask("b")
    assert house.launches == ["a"]
    house.healthy("a")
    assert house.launches == ["a", "b"]


def test_an_idle_model_goes_for_another_and_its_memory_must_be_back_first() -> None:
    house = House((brief("a"), brief("b")))
    house.rest("a")
    house.ask("b")
    assert house.reasons == ["making room for b"]
    assert house.launches == ["a"]
    house.exits("a")
    assert house.launches == ["a"]
    house.reclaimed("a")
    assert house.launches == ["a", "b"]


def test_the_least_recently_used_idle_model_goes_first() -> None:
    house = House((brief("a", 30), brief("b", 30), brief("c", 30), brief("d", 30)))
    for model in ("a", "b", "c"):
        house.rest(model)
        house.wait(1.0)
    house.leave(house.ask("a"))
    house.ask("d")
    assert house.state("b") is State.STOPPING
    assert house.state("a") is house.state("c") is State.READY


def test_an_idle_model_goes_before_a_busy_one() -> None:
    house = House((brief("a", 50), brief("b", 50), brief("c", 50)))
    house.run("a")
    house.wait(1.0)
    house.rest("b")
    house.ask("c")
    assert house.state("a") is State.READY
    assert house.state("b") is State.STOPPING


def test_nobody_goes_in_vain() -> None:
    house = House((brief("small", 10), brief("big", 80), brief("c", 85)))
    house.rest("small")
    house.wait(1.0)
    house.rest("big")
    house.ask("c")
    assert house.state("small") is State.READY, "the big one alone makes the room"
    assert house.state("big") is State.STOPPING


def test_a_busy_model_is_drained_and_takes_no_newcomers() -> None:
    house = House((brief("a"), brief("b")))
    served = house.run("a")
    waiting = house.ask("b")
    newcomer = house.ask("a")
    assert house.state("a") is State.DRAINING
    assert house.waits(newcomer)
    house.leave(served)
    house.gone("a")
    house.healthy("b")
    assert waiting in house.granted
    assert house.waits(newcomer)


def test_a_busy_model_that_keeps_taking_newcomers_starves_nobody() -> None:
    """A rival waits at most the residency, then what is in flight."""
    house = House((a_model("a", 60, min_residency=30.0), a_model("b", 60)))
    leases = [house.run("a")]
    rival = house.ask("b")
    for _ in range(29):
        house.wait(1.0)
        leases.append(house.ask("a"))
        house.leave(leases.pop(0))
    assert leases[-1] in house.granted, "within the residency the resident model is served on"
    house.wait(1.0)
    late = house.ask("a")
    assert house.waits(late)
    house.leave(leases.pop())
    house.gone("a")
    house.healthy("b")
    assert rival in house.granted


def test_a_busy_model_stays_at_least_as_long_as_it_took_to_load() -> None:
    house = House((a_model("a", 60, min_residency=30.0), a_model("b", 60)))
    ticket = house.ask("a")
    house.wait(200.0)
    house.healthy("a")
    house.ask("b")
    house.wait(199.0)
    assert house.state("a") is State.READY
    house.wait(1.0)
    assert house.state("a") is State.DRAINING
    house.leave(ticket)
    assert house.state("a") is State.STOPPING


def test_an_idle_model_stays_only_its_min_residency() -> None:
    house = House((a_model("a", 60, min_residency=30.0), a_model("b", 60)))
    ticket = house.ask("a")
    house.wait(200.0)
    house.healthy("a")
    house.leave(ticket)
    house.ask("b")
    house.wait(29.0)
    assert house.state("a") is State.READY
    house.wait(1.0)
    assert house.state("a") is State.STOPPING


def test_a_place_that_becomes_idle_is_a_rivals_at_once() -> None:
    house = House((a_model("a", 60, min_residency=0.0), a_model("b", 60)))
    ticket = house.ask("a")
    house.wait(200.0)
    house.healthy("a")
    house.ask("b")
    house.wait(10.0)
    assert house.state("a") is State.READY, "busy, it stays as long as it took to load"
    house.leave(ticket)
    assert house.state("a") is State.STOPPING


def test_an_idle_model_is_served_on_while_another_one_starts() -> None:
    house = House((a_model("a", 40, idle_timeout=10.0), a_model("b", 40)))
    house.rest("a")
    house.ask("b")
    house.wait(20.0)
    assert house.state("a") is State.READY
    assert house.ask("a") in house.granted


def test_residency_ends_when_half_of_the_rivals_patience_is_spent() -> None:
    house = House((a_model("a", 60, min_residency=10_000.0), a_model("b", 60)), queue=Queue(max_wait=100.0))
    house.rest("a")
    house.ask("b")
    house.wait(49.0)
    assert house.state("a") is State.READY
    house.wait(1.0)
    assert house.state("a") is State.STOPPING


def test_two_clients_that_alternate_take_turns_instead_of_swapping_at_every_request() -> None:
    house = House((a_model("a", 60, min_residency=30.0), a_model("b", 60, min_residency=30.0)))
    house.rest("a")
    for _ in range(3):
        waiting = house.ask("b")
        for _ in range(20):
            house.leave(house.ask("a"))
            house.wait(1.0)
        house.wait(10.0)
        house.gone("a")
        house.healthy("b")
        house.leave(waiting)
        waiting = house.ask("a")
        house.wait(30.0)
        house.gone("b")
        house.healthy("a")
        house.leave(waiting)
    assert house.launches == ["a", "b"] * 3 + ["a"]


def test_a_fresh_model_serves_its_own_request_before_it_goes_for_a_rival() -> None:
    house = House((brief("a"), brief("b")))
    first = house.ask("a")
    house.ask("b")
    house.healthy("a")
    assert first in house.granted
    assert house.state("a") is State.DRAINING


def test_the_queue_is_served_in_order_of_arrival() -> None:
    house = House((brief("a"), brief("b"), brief("c")))
    house.rest("a")
    house.ask("c")
    house.ask("b")
    house.gone("a")
    assert house.launches == ["a", "c"]


def test_a_pinned_model_is_never_evicted() -> None:
    gib = 2**30
    house = House((a_model("a", 60 * gib, pinned=True), brief("b", 60 * gib)), total=100 * gib)
    house.rest("a")
    error = house.refused[house.ask("b")]
    assert isinstance(error, NoRoom)
    assert (
        error.message
        == 'Model "b" needs 60.0 GiB, but pinned models leave too little memory. Stop or unpin "a".'
    )


def test_the_utility_lives_beside_whichever_main_model_there_is() -> None:
    house = House((brief("a", 60), brief("b", 80), a_model("u", 20, lifecycle="utility")))
    house.rest("a")
    house.rest("u")
    house.ask("b")
    house.gone("a")
    house.healthy("b")
    assert house.state("b") is house.state("u") is State.READY


def test_a_utility_is_not_evicted_by_a_main_model() -> None:
    house = House((brief("a", 80), brief("b", 80), brief("u", 20, lifecycle="utility")))
    house.rest("u")
    house.rest("a")
    house.ask("b")
    assert house.state("u") is State.READY
    assert house.state("a") is State.STOPPING


def test_a_utility_does_not_wait_in_the_main_models_line() -> None:
    house = House((a_model("a", 80), brief("b", 80), brief("u", 20, lifecycle="utility")))
    house.run("a")
    house.ask("b")
    house.ask("u")
    house.healthy("u")
    assert house.state("u") is State.READY
    assert house.state("a") is State.READY


def test_a_main_model_does_not_stop_while_the_utility_starts() -> None:
    """Engines measure the memory of the whole machine while they start."""
    house = House((brief("a", 80), brief("b", 80), brief("u", 20, lifecycle="utility")))
    served = house.run("a")
    house.ask("b")
    house.ask("u")
    house.leave(served)
    assert house.state("a") is State.DRAINING
    assert house.reasons == []
    house.healthy("u")
    assert house.state("a") is State.STOPPING


def test_a_normal_model_must_leave_the_utilitys_place_free() -> None:
    house = House((brief("a", 90), brief("u", 20, lifecycle="utility")))
    assert isinstance(house.refused[house.ask("a")], NoRoom)


def test_a_model_that_declares_nothing_takes_what_the_utility_leaves() -> None:
    house = House((brief("a", None), brief("u", 20, lifecycle="utility")))
    house.rest("a")
    house.rest("u")
    assert house.scheduler.reserved == 100


def test_an_exclusive_model_needs_an_empty_machine() -> None:
    house = House(
        (brief("a", 10), brief("u", 10, lifecycle="utility"), brief("x", 10, lifecycle="exclusive"))
    )
    house.rest("a")
    house.rest("u")
    house.ask("x")
    assert house.state("a") is house.state("u") is State.STOPPING
    house.gone("a")
    assert "x" not in house.launches
    house.gone("u")
    house.healthy("x")
    house.ask("u")
    assert house.launches == ["a", "u", "x"]


def test_the_utility_does_not_come_back_while_an_exclusive_model_waits() -> None:
    house = House(
        (brief("a", 10), brief("u", 10, lifecycle="utility"), brief("x", 10, lifecycle="exclusive"))
    )
    served = house.run("a")
    house.rest("u")
    house.ask("x")
    house.gone("u")
    house.ask("u")
    assert house.launches == ["a", "u"]
    house.leave(served)
    house.gone("a")
    assert house.launches == ["a", "u", "x"]


def test_without_a_queue_a_rival_of_a_busy_model_is_refused_at_once() -> None:
    house = House((a_model("a", 60, idle_timeout=1200.0), a_model("b", 60)), queue=Queue(on_busy="reject"))
    house.run("a")
    house.wait(40.0)
    error = house.refused[house.ask("b")]
    assert isinstance(error, ModelBusy)
    assert error.message == 'Model "b" cannot start now: the machine is in use by "a".'
    (holder,) = error.holders
    assert (holder.model, holder.uptime, holder.idle) == ("a", 40.0, 0.0)
    assert (holder.release, holder.auto_stop) == (1200.0, True)
    assert house.state("a") is State.READY


def test_without_a_queue_an_idle_model_still_makes_room() -> None:
    """The predecessor answered 429 even then."""
    house = House((brief("a"), brief("b")), queue=Queue(on_busy="reject"))
    house.rest("a")
    ticket = house.ask("b")
    assert house.waits(ticket)
    house.gone("a")
    house.healthy("b")
    assert ticket in house.granted


def test_without_a_queue_the_time_to_come_back_is_true() -> None:
    house = House((a_model("a", 60, min_residency=30.0), a_model("b", 60)), queue=Queue(on_busy="reject"))
    house.rest("a")
    house.wait(10.0)
    error = house.refused[house.ask("b")]
    assert error.retry_after == pytest.approx(20.0)
    house.wait(20.0)
    assert house.waits(house.ask("b"))


def test_without_a_queue_who_asks_for_the_model_that_starts_may_wait() -> None:
    house = House((a_model("a", 60), a_model("b", 60)), queue=Queue(on_busy="reject"))
    first, second = house.ask("a"), house.ask("a")
    other = house.ask("b")
    assert house.waits(first)
    assert house.waits(second)
    assert isinstance(house.refused[other], ModelBusy)


def test_without_a_queue_nobody_waits_behind_somebody_who_waits_for_a_place() -> None:
    house = House((brief("a"), brief("b"), brief("c")), queue=Queue(on_busy="reject"))
    house.rest("a")
    first = house.ask("b")
    assert house.waits(first), "the place is being made"
    assert isinstance(house.refused[house.ask("c")], ModelBusy)


def test_without_a_queue_the_utilitys_start_refuses_nobody() -> None:
    house = House(
        (brief("a"), brief("b"), brief("u", 20, lifecycle="utility")), queue=Queue(on_busy="reject")
    )
    served = house.run("a")
    house.stop("a")
    waiting = house.ask("b")
    house.ask("u")
    assert house.state("u") is State.STARTING
    assert house.waits(waiting)
    house.healthy("u")
    house.leave(served)
    house.gone("a")
    house.healthy("b")
    assert waiting in house.granted


def test_what_a_model_taught_is_kept_while_it_is_stopped() -> None:
    house = House((a_model("a", idle_timeout=10.0),))
    ticket = house.ask("a")
    house.wait(200.0)
    house.healthy("a")
    house.leave(ticket)
    house.wait(10.0)
    house.gone("a")
    assert house.state("a") is State.STOPPED
    entry = house.scheduler.entry("a")
    assert entry is not None
    assert entry.load_time == 200.0


def test_with_one_slot_two_models_that_would_fit_take_turns_and_the_utility_stays() -> None:
    models = (a_model("a", 10), a_model("b", 10), a_model("u", 10, lifecycle="utility"))
    house = House(models, slots=1)
    house.rest("u")
    house.rest("a")
    house.wait(30.0)
    house.ask("b")
    assert house.state("a") is State.STOPPING
    house.gone("a")
    house.healthy("b")
    assert house.state("u") is State.READY


def test_without_slots_as_many_stay_as_fit() -> None:
    house = House((a_model("a", 10), a_model("b", 10)))
    house.rest("a")
    house.rest("b")
    assert house.state("a") is house.state("b") is State.READY

"""Background requests, and starts that nobody waits for."""

from __future__ import annotations

import pytest

from sparkd.catalog.settings import Queue
from sparkd.errors import BackgroundPutOff, WaitTimeout
from sparkd.scheduling.claim import Claim
from sparkd.scheduling.lifecycle import State
from sparkd.scheduling.places import MAX_CLIENTS, MAX_PLACES, Places
from tests.scheduling.harness import Harness, a_model

BACKGROUND = Claim("titles", background=True)
LAPTOP = Claim("laptop")


def models(**fields: object) -> Harness:
    """`big` and `other` do not fit together; `small` fits beside either."""
    return Harness(
        (a_model("big", 60), a_model("other", 60), a_model("small", 30)),
        queue=Queue(max_wait=400.0, keep_place=60.0, **fields),  # type: ignore[arg-type]
        load_times={"big": 100.0, "other": 100.0, "small": 50.0},
    )


def test_a_background_request_to_a_ready_model_is_granted() -> None:
    harness = models()
    harness.run_and_finish("big")
    assert harness.scheduler.can_start_without_eviction("big")
    assert harness.request("big", BACKGROUND) in harness.granted


def test_a_background_request_launches_its_model_into_free_memory() -> None:
    harness = models()
    harness.run_and_finish("big")
    assert harness.scheduler.can_start_without_eviction("small")
    harness.request("small", BACKGROUND)
    assert harness.launches == ["big", "small"]


def test_a_background_request_evicts_nobody_and_is_refused_after_max_wait() -> None:
    harness = models()
    harness.run_and_finish("big")
    assert not harness.scheduler.can_start_without_eviction("other")
    ticket = harness.request("other", BACKGROUND)
    harness.wait(399.0)
    assert harness.is_waiting(ticket)
    assert harness.state("big") is State.READY
    harness.wait(1.0)
    error = harness.refused[ticket]
    assert isinstance(error, BackgroundPutOff)
    assert "background" in error.message
    assert error.retry_after is not None
    assert 1.0 <= error.retry_after <= 60.0


def test_with_queueing_off_a_background_request_that_would_wait_is_refused_at_once() -> None:
    harness = models(on_busy="reject")
    harness.run_and_finish("big")
    ticket = harness.request("other", BACKGROUND)
    assert isinstance(harness.refused[ticket], BackgroundPutOff)


def test_a_background_request_is_served_once_its_model_is_ready_for_another_one() -> None:
    harness = models()
    harness.run_and_finish("big")
    ticket = harness.request("other", BACKGROUND)
    harness.request("other")
    harness.wait(100.0)
    harness.exit_and_reclaim("big")
    harness.become_healthy("other")
    assert ticket in harness.granted


def test_a_background_start_waits_until_nobody_else_does() -> None:
    harness = models()
    harness.run("big")
    harness.request("other")
    ticket = harness.request("small", BACKGROUND)
    assert harness.is_waiting(ticket)
    assert harness.launches == ["big"]


def test_a_background_start_ends_when_another_models_turn_comes() -> None:
    harness = models()
    ticket = harness.request("small", BACKGROUND)
    harness.request("big")
    assert harness.reasons == ["no request waits for it, and it is in the way of big"]
    harness.exit_and_reclaim("small")
    assert harness.launches == ["small", "big"]
    harness.become_healthy("big")
    assert harness.launches == ["small", "big", "small"]
    harness.become_healthy("small")
    assert ticket in harness.granted


def test_a_background_start_that_is_nearly_ready_goes_on() -> None:
    harness = models()
    harness.request("small", BACKGROUND)
    harness.wait(40.0)
    harness.request("big")
    assert harness.reasons == []


def test_a_background_start_becomes_wanted_when_another_request_joins_it() -> None:
    harness = models()
    harness.request("small", BACKGROUND)
    harness.request("small")
    harness.request("big")
    assert harness.reasons == []


def test_a_background_request_keeps_its_model_from_nobody() -> None:
    """Its model is idle since its last other request: another one may have the memory."""
    harness = models()
    harness.run_and_finish("big")
    used = harness.now
    for _ in range(3):
        harness.wait(10.0)
        harness.leave(harness.request("big", BACKGROUND))
    entry = harness.scheduler.entry("big")
    assert entry is not None
    assert entry.last_used == used
    assert entry.sessions.pauses == []


@pytest.mark.parametrize("client", [LAPTOP, Claim()])
def test_a_load_outlives_its_client(client: Claim) -> None:
    harness = models()
    harness.leave(harness.request("big", client))
    harness.wait(100.0)
    harness.become_healthy("big")
    assert harness.reasons == []
    assert harness.request("big", client) in harness.granted


def test_a_load_without_clients_ends_when_another_model_needs_its_memory() -> None:
    harness = models()
    harness.leave(harness.request("big"))
    harness.leave(harness.request("small"))
    assert harness.reasons == [], "small fits beside it"
    harness.request("other")
    assert harness.reasons == ["no request waits for it, and it is in the way of other"]


def test_while_the_place_of_its_client_is_kept_a_load_continues() -> None:
    harness = models()
    harness.leave(harness.request("big", LAPTOP))
    harness.request("other")
    harness.wait(59.0)
    assert harness.reasons == []
    harness.wait(1.0)
    assert harness.reasons == ["no request waits for it, and it is in the way of other"]


def test_a_client_that_returns_continues_its_load() -> None:
    harness = models()
    harness.leave(harness.request("big", LAPTOP))
    harness.request("other")
    harness.wait(59.0)
    ticket = harness.request("big", LAPTOP)
    harness.wait(41.0)
    harness.become_healthy("big")
    assert ticket in harness.granted


def test_a_client_that_returns_has_its_old_place_and_a_new_deadline() -> None:
    harness = models()
    harness.run("big")
    gave_up = harness.request("small", LAPTOP)
    harness.become_healthy("small")
    harness.leave(gave_up)
    first = harness.request("other", LAPTOP)
    harness.stop("small")
    harness.wait(5.0)
    harness.request("small")
    harness.leave(first)
    harness.wait(50.0)
    again = harness.request("other", LAPTOP)
    turns = harness.scheduler.models_in_turn()
    assert turns[0].model.id == "other"
    ticket = turns[0].waiting[again]
    assert ticket.arrived == harness.now - 55.0
    assert ticket.deadline == harness.now + 400.0


@pytest.mark.parametrize(
    ("client", "pause"),
    [
        (LAPTOP, 61.0),
        (Claim("phone"), 1.0),
        (Claim(), 1.0),
        (Claim("laptop", background=True), 1.0),
    ],
)
def test_others_and_those_who_return_late_go_to_the_end(client: Claim, pause: float) -> None:
    harness = models()
    harness.run("big")
    harness.leave(harness.request("other", LAPTOP))
    harness.wait(pause)
    ticket = harness.request("other", client)
    entry = harness.scheduler.entry("other")
    assert entry is not None
    assert entry.waiting[ticket].arrived == harness.now


def test_a_client_that_is_refused_after_max_wait_may_return_to_its_place() -> None:
    harness = models()
    harness.request("big")
    began = harness.now
    ticket = harness.request("other", LAPTOP)
    harness.wait(400.0)
    assert isinstance(harness.refused[ticket], WaitTimeout)
    harness.wait(30.0)
    again = harness.request("other", LAPTOP)
    entry = harness.scheduler.entry("other")
    assert entry is not None
    assert entry.waiting[again].arrived == began


def test_places_are_limited() -> None:
    places = Places(60.0)
    for number in range(MAX_CLIENTS + 10):
        places.keep("other", Claim(f"client {number}"), 0.0, 1.0)
    for number in range(MAX_PLACES + 10):
        places.keep("other", LAPTOP, float(number), 1.0)
    assert len(places.kept) == MAX_CLIENTS
    assert sum(map(len, places.kept.values())) == MAX_CLIENTS - 1 + MAX_PLACES


def test_expired_places_are_forgotten() -> None:
    places = Places(60.0)
    places.keep("big", LAPTOP, 0.0, 1.0)
    places.keep("other", LAPTOP, 0.0, 100.0)
    assert list(places.kept) == [("laptop", "other")]


def test_the_best_place_is_given_back_first() -> None:
    places = Places(60.0)
    for arrived in (5.0, 3.0, 4.0):
        places.keep("big", LAPTOP, arrived, 10.0)
    assert [places.take("big", LAPTOP, 20.0) for _ in range(4)] == [3.0, 4.0, 5.0, 20.0]
    assert not places.kept


def test_places_survive_a_replacement_of_the_daemon() -> None:
    before = models()
    before.run("big")
    began = before.now
    ticket = before.request("other", LAPTOP)
    before.wait(10.0)
    before.apply(before.scheduler.on_replacing(before.now))
    assert ticket in before.refused
    after = models()
    after.scheduler.restore_places(before.scheduler.snapshot_places())
    after.now = before.now + 5.0
    after.run("big")
    again = after.request("other", LAPTOP)
    entry = after.scheduler.entry("other")
    assert entry is not None
    assert entry.waiting[again].arrived == began


def test_what_a_start_was_ended_for_is_evicted_at_once() -> None:
    """A start in the background, and an idle model: both are in the way of the next one."""
    harness = Harness((a_model("c", 60, min_residency=0.0), a_model("a", 30), a_model("b", 60)))
    harness.load_times["a"] = 20.0
    harness.run_and_finish("c")
    harness.request("a", BACKGROUND)
    harness.request("b")
    assert harness.reasons == ["no request waits for it, and it is in the way of b", "making room for b"]
    assert harness.scheduler.on_tick(harness.now) == []

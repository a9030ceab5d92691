"""A catalogue that is read again: who is drained, who is refused, and who notices nothing."""

from __future__ import annotations

from msgspec import structs

from sparkd.catalog.settings import Failures, Queue
from sparkd.errors import ModelStopped
from sparkd.scheduling.lifecycle import State
from tests.scheduling.house import House, a_model


def test_a_model_that_would_be_started_differently_is_drained_and_comes_back_as_it_is_now() -> None:
    house = House((a_model("a"), a_model("b")))
    served = house.run("a")
    house.reload(a_model("a", context_length=5), a_model("b"), restart=("a",))
    assert house.state("a") is State.DRAINING
    waiting = house.ask("a")
    assert served in house.granted
    assert house.waits(waiting)
    house.leave(served)
    assert house.reasons == ["its definition changed"]
    house.gone("a")
    house.healthy("a")
    assert waiting in house.granted
    entry = house.scheduler.entry("a")
    assert entry is not None
    assert entry.model.context_length == 5


def test_a_model_that_is_starting_is_started_anew_and_who_waits_for_it_waits_on() -> None:
    house = House((a_model("a"),))
    waiting = house.ask("a")
    house.reload(a_model("a", context_length=5), restart=("a",))
    assert house.state("a") is State.STOPPING
    house.gone("a")
    assert house.launches == ["a", "a"]
    house.healthy("a")
    assert waiting in house.granted


def test_a_model_whose_engine_stays_as_it_is_goes_by_its_new_times_at_once() -> None:
    house = House((a_model("a", idle_timeout=1000.0),))
    house.rest("a")
    house.reload(a_model("a", idle_timeout=10.0))
    assert house.state("a") is State.READY
    house.wait(10.0)
    assert house.reasons == ["idle for 10 seconds"]


def test_a_removed_model_finishes_what_it_has_begun_and_is_forgotten() -> None:
    house = House((a_model("a"), a_model("b")))
    served = house.run("a")
    house.reload(a_model("b"))
    assert served in house.granted
    assert house.state("a") is State.DRAINING
    house.leave(served)
    assert house.reasons == ["it was removed from the catalogue or disabled"]
    house.gone("a")
    assert house.scheduler.entry("a") is None
    house.rest("b")


def test_who_waits_for_a_removed_model_is_refused() -> None:
    house = House((a_model("a"), a_model("b")))
    house.run("b")
    waiting = house.ask("a")
    house.reload(a_model("b"))
    assert isinstance(house.refused[waiting], ModelStopped)
    assert house.state("b") is State.READY


def test_a_disabled_model_is_treated_as_a_removed_one_and_may_come_back() -> None:
    house = House((a_model("a"),))
    house.rest("a")
    house.reload(a_model("a", status="disabled"))
    assert house.state("a") is State.STOPPING
    house.reload(a_model("a"))
    waiting = house.ask("a")
    house.gone("a")
    house.healthy("a")
    assert waiting in house.granted


def test_a_pinned_model_goes_too() -> None:
    house = House((a_model("a", pinned=True),))
    house.rest("a")
    house.reload()
    assert house.state("a") is State.STOPPING


def test_a_change_that_matters_to_a_start_lifts_a_quarantine_and_no_other_does() -> None:
    house = House((a_model("a"), a_model("b")), failures=Failures(max_failures=1))
    for name in ("a", "b"):
        house.ask(name)
        house.gone(name)
    house.reload(a_model("a", start_timeout=5.0), a_model("b", description="b", idle_timeout=9.0))
    assert house.state("a") is State.STOPPED
    assert house.state("b") is State.BACKOFF, "its start knows nothing of that"


def test_a_new_patience_holds_for_those_who_wait_already() -> None:
    house = House((a_model("a"), a_model("b", 80)))
    house.run("a")
    first = house.ask("b")
    house.wait(10.0)
    house.queue = structs.replace(Queue(), max_wait=15.0)
    house.reload(*house.models)
    second = house.ask("b")
    house.wait(5.0)
    assert first in house.refused
    assert house.waits(second)
    house.wait(10.0)
    assert second in house.refused


def test_what_has_leaked_stays_leaked() -> None:
    house = House((a_model("a"),))
    house.rest("a")
    house.stop("a")
    house.exits("a")
    house.reclaimed("a", missing=7)
    house.reload(a_model("a"))
    assert house.scheduler.budget.bytes == 93


def test_a_model_at_rest_shows_the_footprint_it_has_now() -> None:
    house = House((a_model("a", 40),))
    house.rest("a")
    house.stop("a")
    house.gone("a")
    house.reload(a_model("a", 60))
    entry = house.scheduler.entry("a")
    assert entry is not None
    assert entry.footprint == 60


def test_what_was_remembered_of_a_model_that_comes_back_while_it_is_leaving_is_not_held_against_it() -> None:
    house = House((a_model("a"),))
    house.rest("a")
    house.reload()
    house.reload(a_model("a"))
    house.note(house.scheduler.on_remembered("a", 0, "it froze the machine once", house.now))
    assert house.state("a") is State.STOPPING
    house.gone("a")
    assert house.state("a") is State.STOPPED

"""Books that are handed on: one sparkd makes way for the next, and models go on as if nothing had been."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sparkd.catalog.settings import Failures
from sparkd.errors import ModelFailed, ShuttingDown
from sparkd.scheduling.lifecycle import State
from tests.scheduling.house import House, a_model


def successor(house: House) -> House:
    """The same world under the next sparkd."""
    assert house.scheduler.steady
    following = replace(house, processes=dict(house.processes), launches=[], reasons=[], kills=[])
    for entry in house.scheduler.hold():
        following.note(following.scheduler.on_held(entry, following.now))
    return following


def test_a_ready_model_goes_on_and_its_idle_time_counts_on() -> None:
    house = House((a_model("a", idle_timeout=100.0),))
    house.rest("a")
    house.wait(60.0)
    following = successor(house)
    assert following.state("a") is State.READY
    following.wait(39.0)
    assert not following.reasons
    following.wait(1.0)
    assert following.reasons == ["idle for 100 seconds"]
    following.gone("a")
    assert following.state("a") is State.STOPPED


def test_a_starting_model_goes_on_starting_and_its_deadline_stays() -> None:
    house = House((a_model("a", start_timeout=100.0),))
    house.leave(house.ask("a"))
    house.wait(60.0)
    following = successor(house)
    assert following.state("a") is State.STARTING
    following.wait(40.0)
    assert following.reasons == ["start timeout"]
    other = successor(house)
    other.now += 7.0
    other.healthy("a")
    entry = other.scheduler.entry("a")
    assert entry is not None
    assert entry.load_time == 67.0


def test_nobody_gets_the_number_of_a_run_that_goes_on() -> None:
    house = House((a_model("a", 10), a_model("b", 10)))
    house.rest("a")
    following = successor(house)
    following.rest("b")
    assert len(following.processes) == 2


def test_what_is_resident_stays_reserved() -> None:
    house = House((a_model("a", 60), a_model("b", 60, min_residency=0.0)))
    house.rest("a")
    following = successor(house)
    assert following.scheduler.reserved == 60
    following.ask("b")
    assert following.launches == []
    following.wait(30.0)
    following.gone("a")
    assert following.launches == ["b"]


def test_failures_quarantine_and_kills_by_the_guard_are_kept() -> None:
    house = House((a_model("a"), a_model("b")), failures=Failures(max_failures=2))
    for _ in range(2):
        house.ask("a")
        house.gone("a")
        house.wait(100.0)
    house.rest("b")
    entry = house.scheduler.entry("b")
    assert entry is not None
    entry.guard_kills = 1
    following = successor(house)
    assert isinstance(following.refused[following.ask("a")], ModelFailed)
    kept = following.scheduler.entry("b")
    assert kept is not None
    assert kept.guard_kills == 1
    following.retry("a")
    following.ask("a")
    assert following.launches == ["a"]


@pytest.mark.parametrize("waits", [True, False])
def test_nobody_waits_from_the_moment_on_in_which_sparkd_makes_way(waits: bool) -> None:
    house = House((a_model("a"), a_model("b", 90)))
    house.rest("a")
    early = house.ask("b") if waits else None
    house.note(house.scheduler.on_replacing(house.now))
    if early is not None:
        assert isinstance(house.refused[early], ShuttingDown)
    assert isinstance(house.refused[house.ask("b")], ShuttingDown)
    assert house.scheduler.steady
    assert house.ask("a") in house.granted, "what is ready serves to the last"


def test_where_there_is_no_successor_everybody_may_wait_again() -> None:
    house = House((a_model("a"),))
    house.note(house.scheduler.on_replacing(house.now))
    house.scheduler.go_on()
    assert house.waits(house.ask("a"))
    assert house.launches == ["a"]

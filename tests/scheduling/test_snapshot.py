"""Books that are handed on: one sparkd makes way for the next, and models go on as if nothing had been."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sparkd.catalog.settings import Failures
from sparkd.errors import ModelFailed, ShuttingDown
from sparkd.scheduling.lifecycle import State
from tests.scheduling.harness import Harness, a_model


def hand_over(harness: Harness) -> Harness:
    """The same world under the next sparkd."""
    assert harness.scheduler.is_transferable
    successor = replace(harness, processes=dict(harness.processes), launches=[], reasons=[], kills=[])
    for entry in harness.scheduler.snapshot():
        successor.apply(successor.scheduler.on_held(entry, successor.now))
    return successor


def test_a_ready_model_goes_on_and_its_idle_time_counts_on() -> None:
    harness = Harness((a_model("a", idle_timeout=100.0),))
    harness.run_and_finish("a")
    harness.wait(60.0)
    successor = hand_over(harness)
    assert successor.state("a") is State.READY
    successor.wait(39.0)
    assert not successor.reasons
    successor.wait(1.0)
    assert successor.reasons == ["idle for 100 seconds"]
    successor.exit_and_reclaim("a")
    assert successor.state("a") is State.STOPPED


def test_a_starting_model_goes_on_starting_and_its_deadline_stays() -> None:
    harness = Harness((a_model("a", start_timeout=100.0),))
    harness.leave(harness.request("a"))
    harness.wait(60.0)
    successor = hand_over(harness)
    assert successor.state("a") is State.STARTING
    successor.wait(40.0)
    assert successor.reasons == ["start timeout"]
    other = hand_over(harness)
    other.now += 7.0
    other.become_healthy("a")
    entry = other.scheduler.entry("a")
    assert entry is not None
    assert entry.load_time == 67.0


def test_a_held_model_that_has_been_idle_for_long_stays_loaded() -> None:
    harness = Harness((a_model("a", idle_timeout=100.0), a_model("b", memory=20)))
    harness.run_and_finish("a")
    on_loaded, on_stopped = harness.hold("a", 1000.0, job="a run"), harness.hold("b", 50.0)
    harness.wait(500.0)
    assert list(harness.scheduler.holds()) == [on_loaded]
    on_stopped = harness.hold("b", 1000.0)
    successor = hand_over(harness)
    assert list(successor.scheduler.holds()) == [on_loaded, on_stopped]
    assert not successor.reasons
    successor.wait(499.0)
    assert successor.state("a") is State.READY
    successor.wait(1.0)
    assert successor.reasons == ["idle for 100 seconds"]


def test_nobody_gets_the_number_of_a_run_that_goes_on() -> None:
    harness = Harness((a_model("a", 10), a_model("b", 10)))
    harness.run_and_finish("a")
    successor = hand_over(harness)
    successor.run_and_finish("b")
    assert len(successor.processes) == 2


def test_what_is_resident_stays_reserved() -> None:
    harness = Harness((a_model("a", 60), a_model("b", 60, min_residency=0.0)))
    harness.run_and_finish("a")
    successor = hand_over(harness)
    assert successor.scheduler.reserved == 60
    successor.request("b")
    assert successor.launches == []
    successor.wait(30.0)
    successor.exit_and_reclaim("a")
    assert successor.launches == ["b"]


def test_failures_quarantine_and_kills_by_the_guard_are_kept() -> None:
    harness = Harness((a_model("a"), a_model("b")), failures=Failures(max_failures=2))
    for _ in range(2):
        harness.request("a")
        harness.exit_and_reclaim("a")
        harness.wait(100.0)
    harness.run_and_finish("b")
    entry = harness.scheduler.entry("b")
    assert entry is not None
    entry.guard_kills = 1
    successor = hand_over(harness)
    assert isinstance(successor.refused[successor.request("a")], ModelFailed)
    kept = successor.scheduler.entry("b")
    assert kept is not None
    assert kept.guard_kills == 1
    successor.retry("a")
    successor.request("a")
    assert successor.launches == ["a"]


@pytest.mark.parametrize("waits", [True, False])
def test_no_request_waits_once_sparkd_is_replacing_itself(waits: bool) -> None:
    harness = Harness((a_model("a"), a_model("b", 90)))
    harness.run_and_finish("a")
    early = harness.request("b") if waits else None
    harness.apply(harness.scheduler.on_replacing(harness.now))
    if early is not None:
        assert isinstance(harness.refused[early], ShuttingDown)
    assert isinstance(harness.refused[harness.request("b")], ShuttingDown)
    assert harness.scheduler.is_transferable
    assert harness.request("a") in harness.granted, "what is ready serves to the last"


def test_where_there_is_no_successor_everybody_may_wait_again() -> None:
    harness = Harness((a_model("a"),))
    harness.apply(harness.scheduler.on_replacing(harness.now))
    harness.scheduler.reopen()
    assert harness.is_waiting(harness.request("a"))
    assert harness.launches == ["a"]

"""Holds: a held model stays loaded, blocks what does not fit beside it, and says so; and it ends."""

from __future__ import annotations

import re
from typing import Any

import pytest

from sparkd.catalog.settings import Queue
from sparkd.errors import HoldConflict, InsufficientMemory, ModelHeld
from sparkd.scheduling.claim import Claim
from sparkd.scheduling.forecaster import Forecaster
from sparkd.scheduling.hold import Hold
from sparkd.scheduling.lifecycle import State
from tests.scheduling.harness import FixedLoads, Harness, a_model


def brief(id_: str, memory: int = 60, **fields: Any) -> Any:
    """A model without a residency of its own, so that a test need not wait for it."""
    return a_model(id_, memory, **{"min_residency": 0.0, **fields})


def two(**fields: Any) -> Harness:
    """Two models that do not fit together, the first one loaded and idle."""
    harness = Harness((brief("a"), brief("b"), brief("small", 30)), queue=Queue(max_wait=900.0, **fields))
    harness.run_and_finish("a")
    return harness


def test_a_request_that_a_hold_outlasts_is_refused_at_once_and_names_it() -> None:
    harness = two()
    harness.hold("a", 3600.0, owner="laptop", job="fine-tuning", reason="the run must not stop")
    error = harness.refused[harness.request("b")]
    assert isinstance(error, ModelHeld)
    assert error.retry_after == 60.0
    for part in ('"b"', '"a"', "held until ", " by laptop for fine-tuning: the run must not stop"):
        assert part in error.message
    assert harness.state("a") is State.READY


def test_a_request_waits_for_a_hold_that_ends_in_time() -> None:
    harness = two()
    harness.hold("a", 600.0, owner="laptop")
    ticket = harness.request("b")
    assert harness.is_waiting(ticket)
    assert "held until" in harness.scheduler.blocked_by("b", harness.now)
    harness.wait(599.0)
    assert harness.state("a") is State.READY
    harness.wait(2.0)
    harness.exit_and_reclaim("a")
    harness.become_healthy("b")
    assert ticket in harness.granted
    assert harness.scheduler.blocked_by("b", harness.now) == ""


def test_with_the_queue_off_a_blocked_request_is_refused() -> None:
    harness = two(on_busy="reject")
    harness.hold("a", 30.0)
    assert isinstance(harness.refused[harness.request("b")], ModelHeld)


def test_a_blocked_model_does_not_block_others() -> None:
    harness = two()
    harness.hold("a", 600.0)
    harness.request("b")
    harness.run("small")
    assert harness.state("a") is harness.state("small") is State.READY


def test_the_hold_that_lasts_longest_counts() -> None:
    harness = two()
    first, second = harness.hold("a", 100.0), harness.hold("a", 2000.0)
    assert isinstance(harness.refused[harness.request("b")], ModelHeld)
    harness.release(second)
    ticket = harness.request("b")
    assert harness.is_waiting(ticket)
    harness.release(first)
    assert harness.state("a") is not State.READY


def test_a_held_model_is_not_stopped_for_idleness() -> None:
    harness = two()
    harness.hold("a", 5000.0)
    harness.wait(4000.0)
    assert harness.state("a") is State.READY
    harness.wait(1001.0)
    assert harness.state("a") is State.STOPPING


def test_two_holds_that_do_not_fit_together() -> None:
    harness = two()
    harness.hold("a", 3600.0, owner="ada")
    with pytest.raises(HoldConflict, match=r'beside "a", which is held until .* by ada'):
        harness.hold("b", 60.0)
    harness.hold("small", 60.0)


def test_a_hold_that_does_not_fit_beside_a_pinned_model() -> None:
    harness = Harness((brief("a", pinned=True), brief("b"), brief("huge", 200)))
    harness.run_and_finish("a")
    with pytest.raises(InsufficientMemory, match="pinned"):
        harness.hold("b", 60.0)
    with pytest.raises(InsufficientMemory):
        harness.hold("huge", 60.0)


def test_a_hold_may_begin_before_its_model_is_loaded() -> None:
    harness = two()
    harness.hold("b", 3600.0)
    ticket = harness.request("b")
    harness.exit_and_reclaim("a")
    harness.become_healthy("b")
    assert ticket in harness.granted
    assert isinstance(harness.refused[harness.request("a")], ModelHeld)


def test_a_start_for_a_hold_goes_on_without_its_request() -> None:
    harness = Harness((brief("a"), brief("b")))
    harness.hold("a", 3600.0)
    harness.leave(harness.request("a"))
    harness.request("b")
    assert harness.state("a") is State.STARTING
    harness.become_healthy("a")
    assert harness.state("a") is State.READY


def test_the_guard_kills_a_held_model() -> None:
    harness = Harness((brief("a"),), floor=10)
    harness.run_and_finish("a")
    harness.hold("a", 3600.0)
    harness.report_memory(5, after=1.0)
    assert harness.kills == ["a"]


def test_a_reload_that_removes_a_model_ends_its_holds() -> None:
    harness = two()
    harness.hold("a", 3600.0)
    harness.reload(brief("b"))
    assert list(harness.scheduler.holds()) == []


def test_the_plan_knows_holds() -> None:
    harness = two()
    harness.hold("a", 3600.0)
    copy = harness.scheduler.copy()
    ticket, _ = copy.on_request("b", harness.now)
    assert not copy.waiting
    assert ticket


@pytest.mark.parametrize(("left", "form"), [(60.0, r"\d\d:\d\d"), (1e6, r"\w{3} \d\d \w{3} \d\d:\d\d")])
def test_a_hold_that_ends_soon_needs_no_date(left: float, form: str) -> None:
    hold = Hold(id="h", model="m", ends=left, until=1e9)
    assert re.fullmatch(f"held until {form}", hold.describe(0.0))


def test_a_held_model_ignores_keep_alive() -> None:
    harness = two()
    hold = harness.hold("a", 60.0)
    harness.leave(harness.request("a", Claim(keep_alive=0.0)))
    assert harness.state("a") is State.READY
    with pytest.raises(HoldConflict, match=hold.id):
        harness.unload("a")
    with pytest.raises(HoldConflict, match=hold.id):
        harness.stop("a")
    harness.release(hold)
    assert harness.state("a") is State.STOPPING


def test_a_choice_does_not_count_on_a_model_that_a_hold_blocks() -> None:
    harness = two()
    harness.hold("a", 3600.0)
    assert not harness.scheduler.can_load("b", harness.now)
    assert harness.scheduler.can_load("small", harness.now)


def test_a_forecast_beyond_the_end_of_a_hold_does_not_end_it() -> None:
    """It simulates what happens until then."""
    harness = two()
    hold = harness.hold("a", 600.0)
    ticket = harness.request("b")
    found = Forecaster(harness.scheduler, FixedLoads(50.0)).forecast(ticket, harness.now)
    assert found is not None
    assert (found.seconds or 0.0) > 600.0
    assert [each.id for each in harness.scheduler.holds()] == [hold.id]
    harness.wait(601.0)
    assert list(harness.scheduler.holds()) == []
    harness.exit_and_reclaim("a")
    harness.become_healthy("b")
    assert ticket in harness.granted

"""Memory that comes back late, or never, after a process has ended."""

from __future__ import annotations

from sparkd.catalog.quantities import GIB, MIB
from sparkd.scheduling.guard import Sample
from sparkd.scheduling.reclaim import ReclaimTracker
from tests.scheduling.harness import Harness, a_model


def play(reclaim: ReclaimTracker, available: list[float], every: float = 0.25) -> float:
    """Look four times a second; return after how many seconds the memory counted as back."""
    for number, gib in enumerate(available):
        reclaim.add_sample(Sample(number * every, int(gib * GIB)))
        if reclaim.done:
            return number * every
    raise AssertionError("it was never back")


def test_it_is_back_when_it_has_recovered_and_rises_no_more() -> None:
    reclaim = ReclaimTracker(10 * GIB, 100 * GIB, 60.0)
    assert play(reclaim, [12, 50, 95, 101, 109.5, 109.6]) == 1.25
    assert reclaim.missing == 0


def test_a_pause_on_the_way_is_not_the_end() -> None:
    reclaim = ReclaimTracker(10 * GIB, 100 * GIB, 60.0)
    assert play(reclaim, [12, 40, *[40.0] * 80, 110, 110]) == 20.75


def test_what_stays_missing_at_the_deadline_is_leaked() -> None:
    reclaim = ReclaimTracker(10 * GIB, 100 * GIB, 5.0)
    assert play(reclaim, [80.0] * 60) == 5.0
    assert reclaim.missing == 30 * GIB


def test_little_is_not_waited_for() -> None:
    assert ReclaimTracker(10 * GIB, 200 * MIB, 60.0).done


def test_what_other_programs_take_meanwhile_is_not_waited_for() -> None:
    assert play(ReclaimTracker(10 * GIB, 100 * GIB, 60.0), [101.0, 101.0]) == 0.25


def test_a_leak_is_missing_from_the_budget_until_the_machine_shows_it_again() -> None:
    harness = Harness((a_model("a", 60), a_model("b", 90)), total=100, floor=0)
    harness.report_memory(100)
    harness.run_and_finish("a")
    harness.stop("a")
    harness.exit("a")
    harness.report_memory(80)
    harness.reclaim("a", missing=20)
    assert harness.scheduler.budget.bytes == 80
    assert "models may use only 0.0 GiB" in harness.refused[harness.request("b")].message
    harness.report_memory(95)
    assert harness.scheduler.budget.leaked == 5
    harness.run("b")


def test_a_leak_is_not_forgiven_while_somebody_runs() -> None:
    harness = Harness((a_model("a", 30), a_model("b", 30)), total=100, floor=0)
    harness.report_memory(100)
    harness.run_and_finish("a")
    harness.run_and_finish("b")
    harness.stop("a")
    harness.exit("a")
    harness.reclaim("a", missing=20)
    harness.report_memory(100)
    assert harness.scheduler.budget.leaked == 20

"""The memory guard, fed with what machines were seen to do, and the machine's word in what is launched."""

from __future__ import annotations

import pytest

from sparkd.catalog.quantities import GIB
from sparkd.catalog.settings import Failures, Queue
from sparkd.errors import InsufficientMemory, ModelFailed
from sparkd.scheduling.guard import (
    IDLE_INTERVAL,
    LOW_MEMORY_INTERVAL,
    RECOVERY_TIMEOUT,
    STARTING_INTERVAL,
    MemoryGuard,
    Sample,
)
from sparkd.scheduling.lifecycle import State
from sparkd.scheduling.memory import Budget, default_floor
from tests.scheduling.harness import Harness, a_model

FLOOR = 5 * GIB

SPIRAL = [29.0, 27.6, 26.1, 23.2, 20.4, 17.3, 14.8, 11.6, 8.7, 6.2, 4.4, 2.5]
"""GiB available over 9 seconds: a start that took more than the machine had, until it hung at the last figure."""

PLUNGE = [9.9, 7.4, 5.1, 2.4, 0.3]
"""GiB available over 3 seconds: the last 7.4 GiB of another machine."""


def gb10(*models: str, **fields: object) -> Harness:
    """A machine of 120 GiB whose models are small on paper."""
    times = {"min_residency": 0.0, "idle_timeout": 0.0, **fields}
    return Harness(tuple(a_model(name, 10 * GIB, **times) for name in models), total=120 * GIB, floor=FLOOR)


def play_trace(harness: Harness, trace: list[float], seconds: float) -> float:
    """Look at the machine as often as the guard wants to while the trace unfolds, in straight lines between its points.

    Return how much was left, in GiB, when somebody was ended.
    """
    begin, step = harness.now, seconds / (len(trace) - 1)
    while harness.now - begin <= seconds:
        at = (harness.now - begin) / step
        before = min(int(at), len(trace) - 2)
        left = trace[before] + (trace[before + 1] - trace[before]) * (at - before)
        harness.report_memory(int(left * GIB))
        if harness.kills:
            return left
        harness.now += harness.scheduler.guard.sample_interval(
            starting=harness.state("new") is State.STARTING
        )
    raise AssertionError("nobody was ended, and the machine hung")


@pytest.mark.parametrize(("trace", "seconds"), [(SPIRAL, 9.0), (PLUNGE, 3.0)])
def test_a_collapse_as_it_was_seen_ends_what_starts_with_most_of_the_floor_left(
    trace: list[float], seconds: float
) -> None:
    harness = gb10("old", "new")
    harness.run_and_finish("old")
    ticket = harness.request("new")
    left = play_trace(harness, trace, seconds)
    assert harness.kills == ["new"]
    assert left > 4.4, f"only {left:.1f} GiB were left"
    assert harness.state("old") is State.READY
    refused = harness.refused[ticket]
    assert isinstance(refused, ModelFailed)
    assert "the memory guard killed it" in refused.message
    assert refused.status == 503


def test_the_journal_gets_the_figures_of_the_last_ten_seconds() -> None:
    harness = gb10("new")
    harness.request("new")
    play_trace(harness, SPIRAL, 9.0)
    (reason,) = harness.reasons
    assert "The last 8 seconds, in GiB: 29.00 → 27." in reason
    assert 7 <= reason.count("→") <= 10, reason


def test_looks_are_frequent_while_something_starts_and_more_so_when_little_is_left() -> None:
    guard = MemoryGuard(FLOOR)
    assert guard.sample_interval(starting=False) == IDLE_INTERVAL
    assert guard.sample_interval(starting=True) == STARTING_INTERVAL <= 0.5
    guard.add_sample(Sample(0.0, 9 * GIB))
    assert guard.sample_interval(starting=False) == LOW_MEMORY_INTERVAL


def test_with_nothing_starting_the_idle_go_first_and_of_those_the_least_recently_used() -> None:
    harness = gb10("a", "b", "busy")
    for name in ("a", "b"):
        harness.run_and_finish(name)
        harness.now += 10
    harness.leave(harness.request("a"))
    harness.run("busy")
    harness.report_memory(4 * GIB)
    assert harness.kills == ["b"]
    harness.report_memory(3 * GIB, after=0.6)
    assert harness.kills == ["b", "a"]
    harness.report_memory(2 * GIB, after=0.6)
    assert harness.kills == ["b", "a", "busy"]


def test_of_the_busy_the_newest_goes_first() -> None:
    harness = gb10("a", "b", "c")
    for name in ("a", "b", "c"):
        harness.run(name)
        harness.now += 10
    harness.report_memory(4 * GIB)
    assert harness.kills == ["c"]


def test_a_pinned_model_is_no_exception() -> None:
    harness = gb10("a", pinned=True)
    harness.run("a")
    harness.report_memory(4 * GIB)
    assert harness.kills == ["a"]


def test_a_terminated_process_does_not_block_others() -> None:
    harness = gb10("a", "b")
    harness.run_and_finish("a")
    harness.run_and_finish("b")
    harness.stop("a")
    harness.report_memory(4 * GIB)
    assert harness.kills == ["a"]
    harness.exit_and_reclaim("a")
    assert harness.state("a") is State.STOPPED


def test_a_launch_waits_for_a_killed_model_that_was_draining() -> None:
    harness = gb10("a", "b")
    harness.run("a")
    harness.stop("a")
    harness.report_memory(4 * GIB)
    assert harness.kills == ["a"]
    harness.request("b")
    harness.report_memory(90 * GIB, after=1.0)
    assert harness.launches == ["a"]
    harness.exit_and_reclaim("a")
    assert harness.launches == ["a", "b"]


def test_memory_that_comes_back_slowly_costs_no_second_model_and_memory_that_does_not_does() -> None:
    harness = gb10("a", "b")
    harness.run_and_finish("a")
    harness.run_and_finish("b")
    harness.report_memory(4 * GIB)
    for _ in range(4):
        harness.report_memory(4 * GIB, after=1.0)
    assert harness.kills == ["a"]
    harness.report_memory(4 * GIB, after=RECOVERY_TIMEOUT - 4.0)
    assert harness.kills == ["a", "b"]


def test_a_second_collapse_later_on_is_a_new_one() -> None:
    harness = gb10("a", "b")
    harness.run_and_finish("a")
    harness.run_and_finish("b")
    harness.report_memory(4 * GIB)
    harness.exit_and_reclaim("a")
    harness.report_memory(60 * GIB, after=1.0)
    harness.report_memory(4 * GIB, after=0.1)
    assert harness.kills == ["a", "b"]


def test_the_second_time_is_a_quarantine_until_the_operator_says_otherwise() -> None:
    harness = gb10("a")
    for expected in (False, True):
        harness.request("a")
        harness.report_memory(4 * GIB)
        harness.exit_and_reclaim("a")
        entry = harness.scheduler.entry("a")
        assert entry is not None
        assert entry.is_quarantined is expected
        harness.report_memory(90 * GIB, after=1.0)
        harness.wait(400.0)
    ticket = harness.request("a")
    assert harness.refused[ticket].retry_after is None
    assert "failures in a row: the memory guard killed it" in harness.refused[ticket].message
    harness.retry("a")
    harness.run("a")
    harness.report_memory(4 * GIB)
    harness.exit_and_reclaim("a")
    assert entry is not None
    assert not entry.is_quarantined, "the operator's word counts: it is the first time again"


def test_a_healthy_that_crosses_the_kill_changes_nothing() -> None:
    harness = gb10("a")
    harness.request("a")
    harness.report_memory(4 * GIB)
    harness.become_healthy("a")
    assert harness.state("a") is State.BACKOFF


def test_nobody_is_ended_where_nobody_runs() -> None:
    harness = gb10("a")
    harness.report_memory(GIB)
    assert harness.kills == []


# What the machine says before a launch


def test_a_launch_needs_available_memory_and_budget() -> None:
    harness = gb10("a")
    harness.report_memory(14 * GIB)
    ticket = harness.request("a")
    refused = harness.refused[ticket]
    assert isinstance(refused, InsufficientMemory)
    assert refused.message == (
        'Model "a" needs 10.0 GiB, but only 9.0 GiB of memory are available: other programs use the rest.'
    )
    assert refused.retry_after
    harness.report_memory(15 * GIB, after=1.0)
    harness.run("a")


def test_an_idle_model_is_evicted_when_other_programs_use_memory_that_the_budget_has_free() -> None:
    harness = gb10("a", "b")
    harness.run_and_finish("a")
    harness.report_memory(12 * GIB)
    harness.request("b")
    assert harness.state("a") is State.STOPPING
    harness.exit("a")
    harness.report_memory(22 * GIB)
    harness.reclaim("a")
    harness.become_healthy("b")


def test_memory_that_is_late_is_waited_for_while_somebody_is_still_leaving() -> None:
    harness = gb10("a", "b")
    harness.run_and_finish("a")
    harness.stop("a")
    harness.report_memory(12 * GIB)
    ticket = harness.request("b")
    assert harness.is_waiting(ticket)
    harness.exit("a")
    assert harness.is_waiting(ticket)
    harness.report_memory(22 * GIB)
    harness.reclaim("a")
    assert harness.launches[-1] == "b"


def test_a_model_that_nobody_knows_runs_alone_and_is_watched() -> None:
    harness = Harness((a_model("known", 30), a_model("unknown", None)), total=100, floor=5)
    harness.report_memory(60)
    harness.run_and_finish("known")
    harness.wait(40)
    harness.report_memory(60)
    harness.request("unknown")
    harness.exit_and_reclaim("known")
    assert harness.launches[-1] == "unknown"
    entry = harness.scheduler.entry("unknown")
    assert entry is not None
    assert (entry.footprint, entry.basis) == (100, "guessed")


def test_a_request_that_may_not_queue_is_refused_at_once() -> None:
    harness = Harness(
        (a_model("a", 40),), total=100, floor=5, queue=Queue(on_busy="reject"), failures=Failures()
    )
    harness.report_memory(30)
    assert isinstance(harness.refused[harness.request("a")], InsufficientMemory)


def test_the_floor_is_5_gib_or_a_sixteenth() -> None:
    assert default_floor(121 * GIB) == 5 * GIB
    assert default_floor(16 * GIB) == GIB


def test_a_budget_is_never_widened_by_a_machine_with_much_memory() -> None:
    budget = Budget(100, 20, utility=10)
    assert budget.limited_to(500) is budget
    assert budget.limited_to(50).bytes == 50
    assert budget.limited_to(0).bytes == 0

"""The memory guard, fed with what machines were seen to do, and the machine's word in what is launched."""

from __future__ import annotations

import pytest

from sparkd.catalog.quantities import GIB
from sparkd.catalog.settings import Failures, Queue
from sparkd.errors import ModelFailed, NoRoom
from sparkd.scheduling.guard import CALM, NO_RISE, SCARCE, STARTING, Guard, Sample
from sparkd.scheduling.lifecycle import State
from sparkd.scheduling.memory import Budget, floor_of
from tests.scheduling.house import House, a_model

FLOOR = 5 * GIB

SPIRAL = [29.0, 27.6, 26.1, 23.2, 20.4, 17.3, 14.8, 11.6, 8.7, 6.2, 4.4, 2.5]
"""GiB available over 9 seconds: a start that took more than the machine had, until it hung at the last figure."""

PLUNGE = [9.9, 7.4, 5.1, 2.4, 0.3]
"""GiB available over 3 seconds: the last 7.4 GiB of another machine."""


def spark(*models: str, **fields: object) -> House:
    """A machine of 120 GiB whose models are small on paper."""
    times = {"min_residency": 0.0, "idle_timeout": 0.0, **fields}
    return House(tuple(a_model(name, 10 * GIB, **times) for name in models), total=120 * GIB, floor=FLOOR)


def play(house: House, trace: list[float], seconds: float) -> float:
    """Look at the machine as often as the guard wants to while the trace unfolds, in straight lines between its points.

    Return how much was left, in GiB, when somebody was ended.
    """
    begin, step = house.now, seconds / (len(trace) - 1)
    while house.now - begin <= seconds:
        at = (house.now - begin) / step
        before = min(int(at), len(trace) - 2)
        left = trace[before] + (trace[before + 1] - trace[before]) * (at - before)
        house.memory(int(left * GIB))
        if house.kills:
            return left
        house.now += house.scheduler.guard.pause(starting=house.state("new") is State.STARTING)
    raise AssertionError("nobody was ended, and the machine hung")


@pytest.mark.parametrize(("trace", "seconds"), [(SPIRAL, 9.0), (PLUNGE, 3.0)])
def test_a_collapse_as_it_was_seen_ends_what_starts_with_most_of_the_floor_left(
    trace: list[float], seconds: float
) -> None:
    house = spark("old", "new")
    house.rest("old")
    ticket = house.ask("new")
    left = play(house, trace, seconds)
    assert house.kills == ["new"]
    assert left > 4.4, f"only {left:.1f} GiB were left"
    assert house.state("old") is State.READY
    refused = house.refused[ticket]
    assert isinstance(refused, ModelFailed)
    assert "the memory guard killed it" in refused.message
    assert refused.status == 503


def test_the_journal_gets_the_figures_of_the_last_ten_seconds() -> None:
    house = spark("new")
    house.ask("new")
    play(house, SPIRAL, 9.0)
    (told,) = house.reasons
    assert "The last 8 seconds, in GiB: 29.00 → 27." in told
    assert 7 <= told.count("→") <= 10, told


def test_looks_are_frequent_while_something_starts_and_more_so_when_little_is_left() -> None:
    guard = Guard(FLOOR)
    assert guard.pause(starting=False) == CALM
    assert guard.pause(starting=True) == STARTING <= 0.5
    guard.note(Sample(0.0, 9 * GIB))
    assert guard.pause(starting=False) == SCARCE


def test_with_nothing_starting_the_idle_go_first_and_of_those_the_least_recently_used() -> None:
    house = spark("a", "b", "busy")
    for name in ("a", "b"):
        house.rest(name)
        house.now += 10
    house.leave(house.ask("a"))
    house.run("busy")
    house.memory(4 * GIB)
    assert house.kills == ["b"]
    house.memory(3 * GIB, after=0.6)
    assert house.kills == ["b", "a"]
    house.memory(2 * GIB, after=0.6)
    assert house.kills == ["b", "a", "busy"]


def test_of_the_busy_the_newest_goes_first() -> None:
    house = spark("a", "b", "c")
    for name in ("a", "b", "c"):
        house.run(name)
        house.now += 10
    house.memory(4 * GIB)
    assert house.kills == ["c"]


def test_a_pinned_model_is_no_exception() -> None:
    house = spark("a", pinned=True)
    house.run("a")
    house.memory(4 * GIB)
    assert house.kills == ["a"]


def test_what_was_told_to_go_is_not_waited_for() -> None:
    house = spark("a", "b")
    house.rest("a")
    house.rest("b")
    house.stop("a")
    house.memory(4 * GIB)
    assert house.kills == ["a"]
    house.gone("a")
    assert house.state("a") is State.STOPPED


def test_a_launch_waits_for_a_killed_model_that_was_draining() -> None:
    house = spark("a", "b")
    house.run("a")
    house.stop("a")
    house.memory(4 * GIB)
    assert house.kills == ["a"]
    house.ask("b")
    house.memory(90 * GIB, after=1.0)
    assert house.launches == ["a"]
    house.gone("a")
    assert house.launches == ["a", "b"]


def test_memory_that_comes_back_slowly_costs_no_second_model_and_memory_that_does_not_does() -> None:
    house = spark("a", "b")
    house.rest("a")
    house.rest("b")
    house.memory(4 * GIB)
    for _ in range(4):
        house.memory(4 * GIB, after=1.0)
    assert house.kills == ["a"]
    house.memory(4 * GIB, after=NO_RISE - 4.0)
    assert house.kills == ["a", "b"]


def test_a_second_collapse_later_on_is_a_new_one() -> None:
    house = spark("a", "b")
    house.rest("a")
    house.rest("b")
    house.memory(4 * GIB)
    house.gone("a")
    house.memory(60 * GIB, after=1.0)
    house.memory(4 * GIB, after=0.1)
    assert house.kills == ["a", "b"]


def test_the_second_time_is_a_quarantine_until_the_operator_says_otherwise() -> None:
    house = spark("a")
    for expected in (False, True):
        house.ask("a")
        house.memory(4 * GIB)
        house.gone("a")
        entry = house.scheduler.entry("a")
        assert entry is not None
        assert entry.quarantined is expected
        house.memory(90 * GIB, after=1.0)
        house.wait(400.0)
    ticket = house.ask("a")
    assert house.refused[ticket].retry_after is None
    assert "failures in a row: the memory guard killed it" in house.refused[ticket].message
    house.retry("a")
    house.run("a")
    house.memory(4 * GIB)
    house.gone("a")
    assert entry is not None
    assert not entry.quarantined, "the operator's word counts: it is the first time again"


def test_a_healthy_that_crosses_the_kill_changes_nothing() -> None:
    house = spark("a")
    house.ask("a")
    house.memory(4 * GIB)
    house.healthy("a")
    assert house.state("a") is State.BACKOFF


def test_nobody_is_ended_where_nobody_runs() -> None:
    house = spark("a")
    house.memory(GIB)
    assert house.kills == []


# What the machine says before a launch


def test_a_launch_needs_the_machines_word_beside_the_books() -> None:
    house = spark("a")
    house.memory(14 * GIB)
    ticket = house.ask("a")
    refused = house.refused[ticket]
    assert isinstance(refused, NoRoom)
    assert refused.message == (
        'Model "a" needs 10.0 GiB, but only 9.0 GiB of memory are available: other programs use the rest.'
    )
    assert refused.retry_after
    house.memory(15 * GIB, after=1.0)
    house.run("a")


def test_a_model_that_is_idle_makes_room_when_other_programs_have_taken_what_the_books_call_free() -> None:
    house = spark("a", "b")
    house.rest("a")
    house.memory(12 * GIB)
    house.ask("b")
    assert house.state("a") is State.STOPPING
    house.exits("a")
    house.memory(22 * GIB)
    house.reclaimed("a")
    house.healthy("b")


def test_memory_that_is_late_is_waited_for_while_somebody_is_still_leaving() -> None:
    house = spark("a", "b")
    house.rest("a")
    house.stop("a")
    house.memory(12 * GIB)
    ticket = house.ask("b")
    assert house.waits(ticket)
    house.exits("a")
    assert house.waits(ticket)
    house.memory(22 * GIB)
    house.reclaimed("a")
    assert house.launches[-1] == "b"


def test_a_model_that_nobody_knows_runs_alone_and_is_watched() -> None:
    house = House((a_model("known", 30), a_model("unknown", None)), total=100, floor=5)
    house.memory(60)
    house.rest("known")
    house.wait(40)
    house.memory(60)
    house.ask("unknown")
    house.gone("known")
    assert house.launches[-1] == "unknown"
    entry = house.scheduler.entry("unknown")
    assert entry is not None
    assert (entry.footprint, entry.basis) == (100, "guessed")


def test_who_may_not_queue_is_told_at_once_too() -> None:
    house = House((a_model("a", 40),), total=100, floor=5, queue=Queue(on_busy="reject"), failures=Failures())
    house.memory(30)
    assert isinstance(house.refused[house.ask("a")], NoRoom)


def test_the_floor_is_5_gib_or_a_sixteenth() -> None:
    assert floor_of(121 * GIB) == 5 * GIB
    assert floor_of(16 * GIB) == GIB


def test_a_budget_is_never_widened_by_a_machine_with_much_memory() -> None:
    budget = Budget(100, 20, utility=10)
    assert budget.within(500) is budget
    assert budget.within(50).bytes == 50
    assert budget.within(0).bytes == 0

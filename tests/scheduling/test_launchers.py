"""Launchers use memory beside the models, and end before they cost a launch anything."""

from __future__ import annotations

from typing import Any

from sparkd.catalog.quantities import GIB
from sparkd.catalog.settings import Queue
from sparkd.errors import InsufficientMemory
from sparkd.scheduling.lifecycle import State
from sparkd.scheduling.plan import make_plan
from tests.scheduling.harness import FixedLoads, Harness, a_model

FLOOR = 5 * GIB


def machine(**memory: int | None) -> Harness:
    """100 GiB for models of so many GiB."""
    return with_fields({}, **memory)


def with_fields(fields: dict[str, Any], **memory: int | None) -> Harness:
    models = tuple(
        a_model(id_, None if size is None else size * GIB, min_residency=0.0) for id_, size in memory.items()
    )
    return Harness(models, **{"total": 100 * GIB, "floor": FLOOR, **fields})


def test_a_model_that_fits_beside_launchers_does_not_end_them() -> None:
    harness = machine(a=60, b=39)
    harness.use_launchers(GIB)
    harness.run_and_finish("a")
    harness.request("b")
    assert harness.launches == ["a", "b"]
    assert harness.ended_launchers == 0


def test_a_launch_that_needs_their_memory_ends_the_launchers_once_and_waits_until_they_are_gone() -> None:
    harness = machine(a=60, b=40)
    harness.use_launchers(GIB)
    harness.run_and_finish("a")
    ticket = harness.request("b")
    harness.request("b")
    assert harness.ended_launchers == 1
    assert harness.launches == ["a"]
    assert harness.state("a") is State.READY, "nothing is evicted for launchers"
    harness.use_launchers(GIB // 2)
    assert harness.launches == ["a"]
    harness.use_launchers(0)
    assert harness.launches == ["a", "b"]
    assert harness.is_waiting(ticket)
    assert harness.ended_launchers == 1


def test_launchers_that_came_back_are_ended_again() -> None:
    harness = machine(a=100, b=100)
    for name in ("a", "b"):
        harness.use_launchers(GIB)
        harness.request(name)
        if name == "b":
            harness.exit_and_reclaim("a")
        harness.use_launchers(0)
        harness.become_healthy(name)
    assert harness.ended_launchers == 2


def test_memory_that_launchers_use_on_the_machine_is_no_reason_to_refuse() -> None:
    harness = machine(a=60)
    harness.use_launchers(2 * GIB)
    harness.report_memory(FLOOR + 59 * GIB)
    ticket = harness.request("a")
    assert harness.is_waiting(ticket)
    assert harness.ended_launchers == 1
    harness.report_memory(FLOOR + 61 * GIB)
    harness.use_launchers(0)
    assert harness.launches == ["a"]


def test_without_a_queue_a_model_still_waits_for_launchers_to_end() -> None:
    harness = with_fields({"queue": Queue(on_busy="reject")}, a=100)
    harness.use_launchers(GIB)
    assert harness.is_waiting(harness.request("a"))


def test_a_model_that_is_too_large_is_refused_with_the_whole_budget_and_ends_no_launcher() -> None:
    harness = machine(a=101)
    harness.use_launchers(GIB)
    error = harness.refused[harness.request("a")]
    assert isinstance(error, InsufficientMemory)
    assert "only 100.0 GiB" in error.message
    assert harness.ended_launchers == 0


def test_launchers_do_not_shrink_the_footprint_of_a_model_that_declares_none() -> None:
    harness = machine(a=None)
    harness.use_launchers(GIB)
    harness.request("a")
    entry = harness.scheduler.entry("a")
    assert entry is not None
    assert entry.footprint == 100 * GIB


def test_launchers_memory_does_not_count_as_leaked() -> None:
    harness = machine(a=60)
    harness.run_and_finish("a")
    harness.stop("a")
    harness.exit("a")
    harness.reclaim("a", missing=3 * GIB)
    harness.use_launchers(GIB)
    harness.report_memory(98 * GIB)
    assert harness.scheduler.budget.leaked == GIB


def test_a_reload_remembers_the_launchers() -> None:
    harness = machine(a=60)
    harness.use_launchers(GIB)
    harness.reload(*harness.models)
    assert harness.scheduler.budget.launchers == GIB


def test_the_guard_ends_launchers_with_the_model_that_it_kills() -> None:
    harness = machine(a=60)
    harness.run("a")
    harness.use_launchers(GIB)
    harness.report_memory(FLOOR - GIB)
    assert harness.kills == ["a"]
    assert harness.ended_launchers == 1


def test_a_plan_counts_on_the_memory_of_launchers() -> None:
    harness = machine(a=100)
    harness.use_launchers(GIB)
    harness.report_memory(FLOOR + 99 * GIB)
    plan = make_plan(harness.scheduler, "a", harness.now, FixedLoads(50.0))
    assert (plan.verdict, plan.seconds, plan.evicts) == ("launch", 50.0, ())
    assert harness.scheduler.budget.launchers == GIB

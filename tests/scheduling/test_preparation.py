"""The model that launches next is prepared while the models that must leave still leave."""

from __future__ import annotations

from typing import Any

from msgspec import structs

from sparkd.catalog.definitions import Model
from sparkd.catalog.quantities import GIB
from sparkd.catalog.settings import Queue
from sparkd.scheduling.lifecycle import State
from tests.scheduling.harness import Harness, a_model

FLOOR = 5 * GIB


def large(id_: str, memory: int = 60, **fields: Any) -> Model:
    """A model of so many GiB that no two fit together, without a residency."""
    return a_model(id_, memory * GIB, **{"min_residency": 0.0, **fields})


def machine(*models: Model, **fields: Any) -> Harness:
    preparable = frozenset(model.id for model in models)
    return Harness(models, **{"total": 100 * GIB, "floor": FLOOR, "preparable": preparable, **fields})


def rivals(**fields: Any) -> Harness:
    """Three models that do not fit together; a is ready and in use, b waits for it to drain."""
    harness = machine(large("a"), large("b"), large("c"), **fields)
    harness.run("a")
    harness.request("b")
    assert harness.state("a") is State.DRAINING
    return harness


def test_the_next_model_is_prepared_as_soon_as_its_rival_begins_to_leave() -> None:
    harness = rivals()
    assert harness.preparations == ["prepare b"]
    assert harness.state("b") is State.STOPPED
    (number,) = harness.prepared
    harness.leave(next(iter(harness.granted)))
    harness.exit_and_reclaim("a")
    assert harness.preparations == ["prepare b", "launch b"]
    assert harness.process("b").run == number


def test_without_a_rival_that_leaves_nothing_is_prepared() -> None:
    harness = machine(large("a", 30), large("b", 30), large("c", 60, min_residency=30.0))
    harness.request("a")
    harness.request("b")
    harness.become_healthy("a")
    harness.become_healthy("b")
    assert harness.preparations == []


def test_a_rival_that_keeps_its_residency_does_not_leave_yet() -> None:
    harness = machine(large("a", min_residency=30.0), large("b"))
    harness.run_and_finish("a")
    harness.request("b")
    assert harness.preparations == []
    harness.wait(30.0)
    assert harness.preparations == ["prepare b"]


def test_only_models_that_can_be_prepared_are() -> None:
    assert rivals(preparable=frozenset({"c"})).preparations == []


def test_at_most_one_model_is_prepared() -> None:
    harness = machine(large("a"), large("b"), large("u", 20, lifecycle="utility"))
    harness.run("a")
    harness.run("u")
    harness.stop("u")
    harness.request("b")
    harness.request("u")
    assert harness.preparations == ["prepare b"]


def test_a_client_that_leaves_has_its_models_preparation_discarded() -> None:
    harness = rivals()
    (ticket,) = (ticket for ticket in harness.tickets if harness.is_waiting(ticket))
    harness.leave(ticket)
    assert harness.preparations == ["prepare b", "discard b"]


def test_the_preparation_passes_to_the_next_waiting_model_under_a_new_number() -> None:
    harness = rivals()
    harness.request("c")
    first = list(harness.prepared)
    harness.stop("b")
    assert harness.preparations == ["prepare b", "discard b", "prepare c"]
    assert list(harness.prepared) != first


def test_another_launch_discards_the_preparation_and_it_comes_back_afterwards() -> None:
    harness = machine(large("a"), large("b"), large("u", 20, lifecycle="utility"))
    harness.run("a")
    harness.request("b")
    harness.request("u")
    assert harness.launches == ["a", "u"]
    assert harness.preparations == ["prepare b", "discard b"]
    harness.become_healthy("u")
    assert harness.preparations == ["prepare b", "discard b", "prepare b"]


def test_a_request_that_waited_too_long_ends_the_preparation() -> None:
    harness = rivals(queue=Queue(max_wait=60.0))
    harness.wait(60.0)
    assert harness.preparations == ["prepare b", "discard b"]


def test_a_request_that_the_full_queue_refuses_has_nothing_prepared() -> None:
    models = large("a"), large("b"), large("d", 20), large("u", 20, lifecycle="utility")
    harness = machine(*models, preparable=frozenset({"u"}), queue=Queue(max_length=1))
    harness.run("a")
    harness.run_and_finish("d")
    harness.stop("d")
    harness.request("b")
    assert harness.request("u") in harness.refused
    assert harness.preparations == []


def test_a_reload_discards_a_preparation_because_it_may_have_read_what_has_changed() -> None:
    harness = rivals()
    harness.reload(large("a"), structs.replace(large("b"), options={"seed": 1}), large("c"))
    assert harness.preparations == ["prepare b", "discard b", "prepare b"]


def test_neither_a_shutdown_nor_a_replacement_leaves_a_preparation() -> None:
    stopping, replacing = rivals(), rivals()
    stopping.shut_down()
    replacing.apply(replacing.scheduler.on_replacing(replacing.now))
    assert stopping.prepared == replacing.prepared == {}


def test_a_preparation_is_not_handed_over() -> None:
    harness = machine(large("a", 60), large("b", 60))
    harness.run_and_finish("a")
    assert harness.scheduler.is_transferable
    harness.request("b")
    assert not harness.scheduler.is_transferable


def test_with_little_memory_available_nothing_is_prepared() -> None:
    harness = machine(large("a"), large("b"))
    harness.run_and_finish("a")
    harness.report_memory(FLOOR + GIB)
    harness.request("b")
    assert harness.preparations == []
    harness.report_memory(FLOOR + 3 * GIB)
    assert harness.preparations == ["prepare b"]


def test_the_guard_discards_a_preparation_before_it_kills_a_model() -> None:
    harness = rivals()
    harness.report_memory(FLOOR - GIB)
    assert harness.preparations == ["prepare b", "discard b"]
    assert harness.kills == []
    harness.report_memory(FLOOR - 2 * GIB, after=0.6)
    assert harness.kills == ["a"]


def test_what_the_preparation_uses_is_part_of_what_its_model_may_use() -> None:
    harness = rivals()
    harness.leave(next(iter(harness.granted)))
    harness.exit("a")
    harness.report_memory(FLOOR + 60 * GIB - GIB // 2)
    harness.reclaim("a")
    assert harness.launches == ["a", "b"]

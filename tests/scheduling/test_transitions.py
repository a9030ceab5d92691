"""Every change of a model's state is reported once, with its reason, and not by simulations."""

from __future__ import annotations

from typing import Any

from sparkd.catalog.settings import Failures
from sparkd.scheduling.lifecycle import State
from sparkd.scheduling.transitions import Transition
from tests.scheduling.harness import Harness, a_model


class Observer:
    """Remembers what the scheduler reports."""

    def __init__(self) -> None:
        self.transitions: list[Transition] = []
        self.kills: list[tuple[str, str]] = []

    def record_transition(self, transition: Transition) -> None:
        self.transitions.append(transition)

    def record_guard_kill(self, model_id: str, text: str) -> None:
        self.kills.append((model_id, text))

    def states(self, model_id: str) -> list[State]:
        return [each.state for each in self.transitions if each.model == model_id]

    def last(self, model_id: str) -> Transition:
        return [each for each in self.transitions if each.model == model_id][-1]


def observed(*models: Any, **fields: Any) -> tuple[Harness, Observer]:
    harness, observer = Harness(models, **fields), Observer()
    harness.scheduler.observer = observer
    return harness, observer


def test_a_load_is_reported_with_its_times() -> None:
    harness, observer = observed(a_model("a"))
    harness.request("a")
    harness.wait(12.0)
    harness.become_healthy("a")
    assert observer.states("a") == [State.STARTING, State.READY]
    ready = observer.last("a")
    assert (ready.before, ready.after, ready.run, ready.stop_reason, ready.text) == (
        State.STARTING,
        12.0,
        1,
        None,
        "",
    )


def test_an_eviction_says_for_which_model() -> None:
    harness, observer = observed(a_model("a", 60), a_model("b", 60))
    harness.run_and_finish("a")
    harness.wait(100.0)
    harness.request("b")
    harness.exit_and_reclaim("a")
    assert observer.states("a")[2:] == [State.DRAINING, State.STOPPING, State.STOPPED]
    for each in observer.transitions:
        if each.model == "a" and each.state not in (State.STARTING, State.READY):
            assert (each.stop_reason, each.evicted_for, each.text) == ("evicted", "b", "making room for b")


def test_idleness_and_the_operator_are_reasons() -> None:
    harness, observer = observed(a_model("a", idle_timeout=100.0))
    harness.run_and_finish("a")
    harness.wait(100.0)
    harness.exit_and_reclaim("a")
    assert (observer.last("a").stop_reason, observer.last("a").text) == ("idle", "idle for 100 seconds")
    harness.run_and_finish("a")
    harness.stop("a")
    harness.exit_and_reclaim("a")
    assert (observer.last("a").stop_reason, observer.last("a").text) == (
        "operator",
        "the operator stopped it",
    )


def test_a_crash_is_reported_with_its_cause_and_its_end_without() -> None:
    harness, observer = observed(a_model("a"), failures=Failures(backoff=10.0))
    harness.request("a")
    harness.exit("a", "out of memory")
    failed = observer.last("a")
    assert (failed.state, failed.before, failed.stop_reason, failed.text) == (
        State.BACKOFF,
        State.STARTING,
        "crash",
        "out of memory",
    )
    harness.reclaim("a")
    harness.retry("a")
    assert (observer.last("a").state, observer.last("a").text) == (State.STOPPED, "its failures were reset")


def test_a_crash_that_a_request_caused_is_a_crash() -> None:
    harness, observer = observed(a_model("a"))
    harness.run("a")
    harness.exit("a", "it crashed", forgiven=True)
    assert observer.states("a")[2:] == [State.DRAINING, State.STOPPING]
    assert (observer.last("a").stop_reason, observer.last("a").text) == ("crash", "it crashed")


def test_the_guard_is_a_reason_and_its_kill_is_reported() -> None:
    harness, observer = observed(a_model("a"))
    harness.run("a")
    harness.scheduler.guard.floor = 10
    harness.report_memory(5)
    assert observer.last("a").stop_reason == "guard"
    assert observer.last("a").text.startswith("the memory guard killed it")
    ((model, text),) = observer.kills
    assert model == "a"
    assert "were available" in text


def test_simulations_report_nothing() -> None:
    harness, observer = observed(a_model("a"))
    copy = harness.scheduler.copy()
    copy.on_request("a", harness.now)
    assert copy.entries()
    assert observer.transitions == []


def test_a_model_that_is_taken_over_has_not_changed_its_state() -> None:
    harness, _ = observed(a_model("a"))
    harness.run_and_finish("a")
    snapshots = harness.scheduler.snapshot()
    successor, observer = observed(a_model("a"))
    for snapshot in snapshots:
        successor.scheduler.on_held(snapshot, harness.now)
    entry = successor.scheduler.entry("a")
    assert entry is not None
    assert entry.state is State.READY
    assert observer.transitions == []

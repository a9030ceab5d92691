"""Whether a request could load a model: it has not failed, and fits beside what is never evicted."""

from __future__ import annotations

from sparkd.catalog.settings import Failures
from tests.scheduling.harness import Harness, a_model


def can_load(harness: Harness, model: str) -> bool:
    return harness.scheduler.can_load(model, harness.now)


def test_a_model_can_be_loaded_if_others_may_be_evicted_for_it_even_busy_ones() -> None:
    harness = Harness((a_model("a", 60), a_model("b", 60), a_model("huge", 200)))
    assert [can_load(harness, model) for model in ("a", "b", "huge")] == [True, True, False]
    harness.run("a")
    harness.request("a")
    assert [can_load(harness, model) for model in ("a", "b", "huge")] == [True, True, False]


def test_a_model_that_does_not_fit_beside_a_pinned_one_cannot_be_loaded() -> None:
    harness = Harness((a_model("a", 60, pinned=True), a_model("b", 60), a_model("c", 40)))
    assert can_load(harness, "b")
    harness.run_and_finish("a")
    assert [can_load(harness, model) for model in ("a", "b", "c")] == [True, False, True]


def test_a_model_that_has_failed_cannot_be_loaded_until_its_pause_is_over() -> None:
    harness = Harness((a_model("a"),), failures=Failures(backoff=10.0))
    harness.request("a")
    harness.exit_and_reclaim("a")
    assert not can_load(harness, "a")
    harness.wait(11.0)
    assert can_load(harness, "a")

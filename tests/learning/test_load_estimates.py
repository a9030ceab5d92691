"""What past loads say about the next one, and about one that is under way."""

from __future__ import annotations

import pytest

from sparkd.learning.load_estimates import (
    LoadEstimate,
    LoadPosition,
    PastLoad,
    estimate_first_load,
    estimate_load,
)

GIB = 1024**3
PHASES = {"starting": 10.0, "loading weights": 60.0, "compiled": 20.0, "capturing CUDA graphs": 10.0}
ESTIMATE = LoadEstimate(100.0, tuple(PHASES.items()))


def make_load(
    weights: float, compiled: float = 20.0, *, is_warm: bool | None = True, size: int = 0
) -> PastLoad:
    phases = PHASES | {"loading weights": weights, "compiled": compiled}
    return PastLoad(sum(phases.values()), phases, is_warm, size)


def expect(loads: list[PastLoad], *, is_warm: bool = True) -> LoadEstimate:
    estimate = estimate_load(loads, is_warm=is_warm)
    assert estimate is not None
    return estimate


def test_without_loads_nothing_is_known() -> None:
    assert estimate_load([], is_warm=True) is None


def test_the_first_load_that_compiled_counts_less_than_the_second() -> None:
    estimate = expect([make_load(60.0, 200.0), make_load(60.0, 15.0)])
    assert dict(estimate.phases)["compiled"] == 15.0
    assert estimate.seconds == 95.0


def test_after_the_first_load_other_models_say_what_filled_caches_save() -> None:
    first, others = make_load(60.0, 200.0), [make_load(5.0, 9.0), make_load(5.0, 11.0), PastLoad(7.0)]
    estimate = estimate_load([first], is_warm=True, others=others)
    assert estimate is not None
    assert dict(estimate.phases) == PHASES | {"compiled": 10.0}
    assert estimate.seconds == first.seconds - 190.0
    later = estimate_load([first, first], is_warm=True, others=others)
    assert later is not None
    assert later.seconds == first.seconds


def test_one_load_from_the_page_cache_changes_little() -> None:
    assert expect([make_load(60.0), make_load(62.0), make_load(61.0), make_load(6.0)]).seconds == 100.0


def test_warm_and_cold_loads_are_kept_apart() -> None:
    warm, cold = PastLoad(20.0, is_warm=True), PastLoad(45.0, is_warm=False)
    assert expect([warm, cold], is_warm=True).seconds == 20.0
    assert expect([warm, cold], is_warm=False).seconds == 45.0
    assert expect([cold], is_warm=True).seconds == 45.0


def test_phases_are_in_the_order_of_the_newest_load() -> None:
    loads = [PastLoad(3.0, {"b": 1.0, "a": 2.0}, True), PastLoad(6.0, {"a": 1.0, "b": 2.0, "c": 3.0}, True)]
    assert [name for name, _ in expect(loads).phases] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("position", "left"),
    [
        (LoadPosition(30.0), 70.0),
        (LoadPosition(30.0, "a phase that is new"), 70.0),
        (LoadPosition(4.0, "starting", 4.0), 96.0),
        # Later phases are as long as ever, even if earlier ones took longer.
        (LoadPosition(100.0, "loading weights", 0.0), 90.0),
        (LoadPosition(70.0, "loading weights", 30.0), 60.0),
        # Half of it in 15 s: the page cache is fast.
        (LoadPosition(25.0, "loading weights", 15.0, 0.5), 15.0 + 30.0),
        # The report is 5 s old.
        (LoadPosition(30.0, "loading weights", 20.0, 0.5, 5.0), 10.0 + 30.0),
        # At a quarter, half of the estimate is what earlier loads say.
        (LoadPosition(20.0, "loading weights", 10.0, 0.25), (30.0 + 45.0) / 2 + 30.0),
        (LoadPosition(92.0, "capturing CUDA graphs", 2.0, 0.0), 8.0),
        # Twice as long as usual: half of the delay is added.
        (LoadPosition(110.0, "capturing CUDA graphs", 20.0), 5.0),
        (LoadPosition(200.0), 50.0),
    ],
)
def test_what_is_left_follows_from_phase_and_progress(position: LoadPosition, left: float) -> None:
    assert ESTIMATE.left(position) == pytest.approx(left)


def test_a_model_that_was_never_loaded_is_read_as_fast_as_others() -> None:
    others = [make_load(30.0, size=15 * GIB), make_load(40.0, size=20 * GIB), PastLoad(1000.0)]
    estimate = estimate_first_load(others, 60 * GIB, is_warm=True)
    assert estimate is not None
    assert estimate.seconds == pytest.approx(120.0 + 40.0)


def test_without_phases_it_takes_as_long_for_its_size() -> None:
    estimate = estimate_first_load([PastLoad(30.0, size=10 * GIB)], 20 * GIB, is_warm=True)
    assert estimate is not None
    assert estimate.seconds == pytest.approx(60.0)


@pytest.mark.parametrize(
    ("others", "size"), [([], GIB), ([PastLoad(30.0)], GIB), ([make_load(1, size=GIB)], 0)]
)
def test_without_sizes_nothing_is_known(others: list[PastLoad], size: int) -> None:
    assert estimate_first_load(others, size, is_warm=False) is None

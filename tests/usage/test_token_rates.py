"""Which interval each token of a request belongs to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkd.usage.records import RequestRecord
from sparkd.usage.token_rates import STEP, RunningRequest, TokenRates, interval_of, spread


def record(id_: str = "a", **values: object) -> RequestRecord:
    fields: dict[str, object] = {
        "ended": 0.0, "id": id_, "model": "m", "asked": "m", "endpoint": "/v1/chat/completions", "status": 200,
        "seconds": 20.0, "first_token_seconds": 5.0, "tokens_in": 100, "tokens_out": 300,
    }  # fmt: skip
    return RequestRecord(**(fields | values))  # type: ignore[arg-type]


def total(rates: TokenRates, numbers: range) -> float:
    return sum((rates.tokens_out(number) or 0.0) * STEP for number in numbers)


def test_an_end_of_an_interval_belongs_to_it() -> None:
    assert [interval_of(time) for time in (0.0, 0.1, 5.0, 5.1, 10.0)] == [0, 1, 1, 2, 2]


def test_a_long_response_that_was_never_observed_is_spread_over_its_decoding() -> None:
    rates = TokenRates()
    rates.finish(record(), ended=100.0)
    assert rates.tokens_out(18) == rates.tokens_out(20) == pytest.approx(20.0)
    assert rates.tokens_out(17) == 0.0
    assert rates.tokens_in(17) == pytest.approx(20.0)


def test_a_response_in_one_piece_is_spread_over_the_time_after_its_queue_and_load() -> None:
    rates = TokenRates()
    first = rates.finish(
        record(first_token_seconds=None, seconds=60.0, queue_seconds=20.0, load_seconds=30.0, tokens_out=100),
        ended=100.0,
    )
    assert first == interval_of(90.0)
    assert (rates.tokens_out(18), rates.tokens_out(19), rates.tokens_out(20)) == (0.0, 10.0, 10.0)


def test_the_shape_that_was_seen_is_kept_and_the_sum_is_exact() -> None:
    rates = TokenRates()
    for now, estimate in ((5.0, 100.0), (10.0, 110.0), (15.0, 210.0)):
        rates.observe([RunningRequest("a", estimate)], now)
    assert [rates.tokens_out(number) for number in (1, 2, 3)] == [20.0, 2.0, 20.0]
    rates.finish(record(tokens_out=420), ended=15.0)
    assert [rates.tokens_out(number) for number in (1, 2, 3)] == [40.0, 4.0, 40.0]


def test_what_arrived_after_the_last_observation_is_counted_where_it_arrived() -> None:
    rates = TokenRates()
    rates.observe([RunningRequest("a", 50.0)], 5.0)
    rates.observe([RunningRequest("a", 100.0)], 10.0)
    rates.finish(record(tokens_out=120), ended=12.0)
    assert [rates.tokens_out(number) for number in (1, 2, 3)] == pytest.approx([10.0, 10.0, 4.0])


def test_a_request_without_tokens_is_unknown_and_a_failed_one_is_not() -> None:
    rates = TokenRates()
    rates.finish(record(tokens_in=None, tokens_out=None), ended=4.0)
    rates.finish(record("b", tokens_in=None, tokens_out=None, status=503), ended=9.0)
    assert (rates.tokens_out(1), rates.tokens_out(2)) == (None, 0.0)
    rates.finish(record("c", tokens_out=10, seconds=1.0, first_token_seconds=0.5), ended=4.0)
    assert rates.tokens_out(1) == 2.0


def test_an_embedding_has_no_output_and_that_is_known() -> None:
    rates = TokenRates()
    rates.finish(record(tokens_out=None, first_token_seconds=None, seconds=1.0), ended=4.0)
    assert (rates.tokens_in(1), rates.tokens_out(1)) == (20.0, 0.0)


def test_old_intervals_and_lost_requests_are_forgotten() -> None:
    rates = TokenRates()
    rates.observe([RunningRequest("a", 50.0), RunningRequest("b", None)], 5.0)
    rates.finish(record("c", tokens_in=None, tokens_out=None), ended=5.0)
    rates.forget_before(2)
    assert rates.tokens_out(1) == 0.0
    rates.finish(record("a", tokens_out=10, seconds=2.0, first_token_seconds=1.0), ended=10.0)
    assert total(rates, range(-5, 5)) == pytest.approx(10.0)


@given(
    st.lists(st.integers(0, 500), max_size=8),
    st.integers(1, 100_000),
    st.floats(0, 4.9),
    st.floats(0.0, 100.0),
)
def test_the_sum_over_all_intervals_is_the_exact_number(
    increments: list[int], exact: int, tail: float, seconds: float
) -> None:
    rates, estimate, now = TokenRates(), 0.0, 1000.0
    for increment in increments:
        now, estimate = now + STEP, estimate + increment
        rates.observe([RunningRequest("a", estimate)], now)
    rates.finish(record(tokens_out=exact, seconds=seconds, first_token_seconds=seconds / 2), ended=now + tail)
    assert total(rates, range(150, 300)) == pytest.approx(exact, rel=1e-6)
    assert all((rates.tokens_out(number) or 0.0) >= 0.0 for number in range(150, 300))


@given(st.floats(0, 1000), st.floats(0, 500), st.integers(1, 1_000_000))
def test_spreading_loses_nothing(began: float, seconds: float, count: int) -> None:
    tokens: dict[int, float] = {}
    spread(tokens, count, began, began + seconds)
    assert sum(tokens.values()) == pytest.approx(count)
    assert set(tokens) <= set(range(interval_of(began), interval_of(began + seconds) + 1))


def test_an_observation_that_comes_late_makes_neither_a_peak_nor_a_gap() -> None:
    rates = TokenRates()
    for now in (5.0, 10.0, 19.0, 20.0, 25.0):
        rates.observe([RunningRequest("a", now * 20.0)], now)
    assert [rates.tokens_out(number) for number in range(2, 6)] == [pytest.approx(20.0)] * 4

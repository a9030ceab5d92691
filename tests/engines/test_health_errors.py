"""When errors of a health path end an engine, and what they say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkd.engines import ENGINES
from sparkd.engines.engine import HealthErrors
from sparkd.engines.health_errors import MIN_ANSWERS, HealthErrorTracker, explain_health_error

POLICY = HealthErrors(timeout=5.0, inconclusive=frozenset({503}))


def record(tracker: HealthErrorTracker, *answers: tuple[float, int | None]) -> list[bool]:
    return [tracker.record(status, now) for now, status in answers]


def test_errors_for_as_long_as_the_timeout_are_final() -> None:
    tracker = HealthErrorTracker(POLICY)
    assert record(tracker, (0.0, 500), (4.9, 404), (5.0, 500)) == [False, False, True]


def test_a_slow_health_path_must_answer_often_enough() -> None:
    tracker = HealthErrorTracker(POLICY)
    assert record(tracker, (0.0, 500), (60.0, 500)) == [False, False]
    assert MIN_ANSWERS == 3
    assert record(tracker, (120.0, 500)) == [True]


@pytest.mark.parametrize("between", [200, 204, 302, 503, None])
def test_any_other_answer_and_none_start_the_count_again(between: int | None) -> None:
    tracker = HealthErrorTracker(POLICY)
    assert record(tracker, (0.0, 500), (1.0, 500), (4.0, between), (6.0, 500), (10.0, 500)) == [False] * 5
    assert tracker.active


@given(st.lists(st.tuples(st.floats(0.0, 1e6), st.sampled_from([503, 200, None]))))
def test_what_may_mean_loading_is_never_final(answers: list[tuple[float, int | None]]) -> None:
    assert not any(record(HealthErrorTracker(POLICY), *sorted(answers, key=lambda answer: answer[0])))


@pytest.mark.parametrize(
    ("engine", "status", "final"),
    [
        ("vllm", 503, True),
        ("sglang", 503, False),
        ("sglang", 500, True),
        ("command", 503, False),
        ("command", 502, False),
        ("command", 500, True),
        ("command", 404, True),
    ],
)
def test_each_kind_of_engine_has_statuses_that_say_nothing(engine: str, status: int, final: bool) -> None:
    tracker = HealthErrorTracker(ENGINES[engine].health_errors)
    assert record(tracker, (0.0, status), (30.0, status), (60.0, status))[-1] is final


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ('{"error": {"message": "no database", "code": 500}}', ": no database"),
        ('{"detail": "Not Found"}', ": Not Found"),
        ('{"error": "broken."}', ": broken"),
        ("Internal Server Error\nmore", ": Internal Server Error"),
        ("<html><body>Oops</body></html>", ": KeyError: 'db'"),
        ('{"error": {"code": 500}}', ": KeyError: 'db'"),
        ("", ": KeyError: 'db'"),
    ],
)
def test_the_cause_has_the_status_and_the_message_or_the_last_exception(body: str, detail: str) -> None:
    cause = explain_health_error("/health", 500, body, ["INFO ok", "KeyError: 'db'", "INFO: GET /health 500"])
    assert cause.kind == "unhealthy"
    assert cause.sentence == f"its health path /health answers with status 500{detail}."


@given(st.text())
def test_any_body_gives_a_short_cause(body: str) -> None:
    assert len(explain_health_error("/health", 500, body, []).sentence) < 400

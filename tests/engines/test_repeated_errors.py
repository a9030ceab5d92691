"""Which errors in a log end a start, and which do not."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from sparkd.engines.engine import Milestone
from sparkd.engines.repeated_errors import MAX_KINDS, MIN_SPAN, REPEATS, RepeatedErrors

ERROR = "ConnectionError: cannot reach the cache"
FRAME = '  File "engine.py", line 12, in connect'
LOADING = Milestone("loading weights")

names = st.sampled_from(["ValueError", "torch.OutOfMemoryError", "a.b.TimeoutException"])
gaps = st.integers(1, 100)
noise = st.lists(
    st.text(st.characters(exclude_categories=["C"]), max_size=40).filter(lambda t: "Traceback" not in t)
)


def traceback(error: str, prefix: str = "") -> list[str]:
    return [f"{prefix}{line}" for line in ("Traceback (most recent call last):", FRAME, error)]


def record(errors: RepeatedErrors, lines: Iterable[str], now: float) -> list[str]:
    return [found for line in lines if (found := errors.record_line(line, now))]


@given(
    st.lists(gaps, min_size=REPEATS, max_size=20),
    noise,
    st.sampled_from(["", "(EngineCore pid=7) ERROR 11-22 00:40:45 [core.py:900] "]),
)
def test_an_error_that_is_repeated_often_and_for_long_ends_the_start(
    pauses: list[int], between: list[str], prefix: str
) -> None:
    errors, now, start = RepeatedErrors(), 1000.0, 1000.0
    for count, pause in enumerate(pauses, 1):
        record(errors, between, now)
        found = record(errors, traceback(f"{ERROR} ({count}. attempt, 0x{count:x})", prefix), now)
        expected = count >= REPEATS and now - start >= MIN_SPAN
        assert found == ([f"{ERROR} ({count}. attempt, 0x{count:x})"] if expected else [])
        now += pause


@given(st.lists(st.tuples(names, st.floats(0.0, MIN_SPAN, exclude_max=True))))
def test_errors_within_a_short_time_do_not(logged: list[tuple[str, float]]) -> None:
    errors = RepeatedErrors()
    for name, now in sorted(logged, key=lambda item: item[1]):
        assert record(errors, traceback(f"{name}: no"), now) == []


@given(st.lists(gaps), st.integers(1, REPEATS - 1))
def test_errors_between_two_steps_of_loading_do_not(pauses: list[int], burst: int) -> None:
    errors, now = RepeatedErrors(), 0.0
    for step, pause in enumerate(pauses, 1):
        for _ in range(burst):
            assert record(errors, traceback(ERROR), now) == []
            now += pause
        errors.record_milestone(Milestone("loading weights", step / 1000))


@given(st.integers(2, 64), st.floats(0.0, 1000.0))
def test_workers_that_log_the_same_error_at_once_count_once(workers: int, now: float) -> None:
    errors = RepeatedErrors()
    for _ in range(workers):
        assert record(errors, traceback(ERROR), now) == []
    assert record(errors, traceback(ERROR), now + MIN_SPAN) == []


def test_a_loop_of_starts_that_repeats_its_steps_is_no_progress() -> None:
    errors = RepeatedErrors()
    found: list[str] = []
    for attempt in range(REPEATS):
        errors.record_milestone(LOADING)
        found += record(errors, traceback(ERROR), attempt * MIN_SPAN)
    assert found == [ERROR]


def test_an_exception_without_a_traceback_is_only_a_message() -> None:
    errors = RepeatedErrors()
    assert not any(errors.record_line(ERROR, now * MIN_SPAN) for now in range(2 * REPEATS))


@given(
    st.lists(st.one_of(st.text(), st.text(min_size=1).map(lambda t: f"{t.title()}Error: x")), max_size=200)
)
def test_any_log_is_read_with_little_memory(lines: list[str]) -> None:
    errors = RepeatedErrors()
    for now, line in enumerate(lines):
        record(errors, traceback(line), float(now))
        assert len(errors._occurrences) <= MAX_KINDS

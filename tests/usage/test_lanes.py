"""Lanes: what each model did when, and when that is not known."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from itertools import pairwise
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from sparkd.usage.lanes import KnownTime, build_lanes, build_spans
from sparkd.usage.reader import UsageReader
from sparkd.usage.records import Occurrence, StateChange
from sparkd.usage.results import Span
from sparkd.usage.store import UsageStore
from tests.usage.recorded import NOW, change, running_store

DAY = [KnownTime(0.0, 100.0)]


def states(spans: list[Span]) -> list[tuple[str, float, float]]:
    return [(span.state, span.began, span.ended) for span in spans]


def test_a_lane_has_no_gaps_and_begins_with_the_state_before_the_period() -> None:
    changes = [
        change(5, "a", "starting"),
        change(10, "a", "ready"),
        change(40, "a", "stopped", stop_reason="evicted", text="making room for b", evicted_for="b"),
    ]
    (lane,) = build_lanes({"a": changes}, DAY, 20, 60)
    assert states(lane.spans) == [("ready", 20, 40), ("stopped", 40, 60)]
    assert (lane.spans[1].stop_reason, lane.spans[1].evicted_for) == ("evicted", "b")


def test_while_no_sparkd_ran_a_lane_is_unknown_and_then_begins_as_stopped() -> None:
    changes = [change(10, "a", "ready"), change(90, "a", "starting")]
    known = [KnownTime(0, 30), KnownTime(80, 100)]
    assert states(build_spans("a", changes, known, 0, 120)) == [
        ("stopped", 0, 10),
        ("ready", 10, 30),
        ("unknown", 30, 80),
        ("stopped", 80, 90),
        ("starting", 90, 100),
        ("unknown", 100, 120),
    ]


def test_a_replacement_of_sparkd_does_not_interrupt_the_lanes_of_engines_that_it_kept() -> None:
    changes = {"a": [change(10, "a", "ready")], "b": [change(10, "b", "ready")]}
    known = [KnownTime(0, 100, kept=((50, frozenset({"a"})),))]
    lanes = {lane.model: states(lane.spans) for lane in build_lanes(changes, known, 0, 100)}
    assert lanes["a"] == [("stopped", 0, 10), ("ready", 10, 100)]
    assert lanes["b"] == [("stopped", 0, 10), ("ready", 10, 50), ("stopped", 50, 100)]


def test_models_that_were_only_stopped_have_no_lane() -> None:
    assert build_lanes({"a": [change(10, "a", "stopped")]}, DAY, 20, 60) == []


TIMES = st.integers(0, 10_000).map(lambda number: number / 100)
known_times = st.lists(st.tuples(TIMES, TIMES), max_size=4).map(
    lambda pairs: [
        KnownTime(first, second)
        for first, second in zip(
            sorted(each for pair in pairs for each in pair)[::2],
            sorted(each for pair in pairs for each in pair)[1::2],
            strict=True,
        )
    ]
)
histories = st.lists(
    st.tuples(st.floats(0, 100), st.sampled_from(("starting", "ready", "stopping", "stopped", "backoff"))),
    max_size=12,
).map(lambda each: [change(at, "a", state) for at, state in sorted(each, key=lambda pair: pair[0])])


@given(histories, known_times, st.floats(0, 50), st.floats(51, 110))
def test_spans_cover_the_period_exactly(
    changes: list[StateChange], known: list[KnownTime], since: float, until: float
) -> None:
    spans = build_spans("a", changes, known, since, until)
    assert spans[0].began == since
    assert spans[-1].ended == until
    assert all(before.ended == after.began for before, after in pairwise(spans))
    assert all(span.began <= span.ended for span in spans)
    for span in spans:
        middle = (span.began + span.ended) / 2
        is_known = any(time.began <= middle <= time.ended for time in known)
        assert span.ended == span.began or is_known == (span.state != "unknown")


def test_a_start_a_stop_and_a_kill_of_sparkd_are_in_the_history(tmp_path: Path) -> None:
    path = tmp_path / "usage.sqlite"
    with running_store(path) as store:
        first = store.session.began
    # A session that has ended without saying so is one that was killed.
    with running_store(path) as store:
        store.add_change(change(store.session.began, "a", "ready"))
        with store.read_consistently():
            pass
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE sessions SET ended = NULL WHERE began > ?", (first,))
    with running_store(path, kept=None) as store:
        history = UsageReader(path, store).history(first - 1, NOW + 3600)
        assert [each.end for each in history.sessions] == ["stopped", "killed", "running"]
        assert [span.state for span in history.lanes[0].spans][-2:] == ["unknown", "stopped"]


def test_a_program_that_took_over_engines_ends_the_one_before_as_replaced(tmp_path: Path) -> None:
    path = tmp_path / "usage.sqlite"
    with running_store(path) as store:
        began = store.session.began
        store.add_change(change(began + 0.001, "a", "ready"))
    with running_store(path, kept=frozenset({"a"})) as store:
        history = UsageReader(path, store).history(began - 1, NOW + 3600)
        assert [each.end for each in history.sessions] == ["replaced", "running"]
        assert [span.state for span in history.lanes[0].spans] == ["unknown", "stopped", "ready"]


def fill_summary(store: UsageStore) -> None:
    at = store.session.began
    for run, seconds in enumerate((10.0, 30.0, 20.0)):
        for state, before, reason in (
            ("starting", "stopped", None),
            ("ready", "starting", None),
            ("draining", "ready", "evicted"),
            ("stopping", "draining", "evicted"),
            ("stopped", "stopping", "evicted"),
        ):
            after = seconds if state == "ready" else 1.0
            store.add_change(change(at, "a", state, run=run, before=before, after=after, stop_reason=reason))
    for state, before, reason in (("starting", "stopped", None), ("backoff", "starting", "crash")):
        store.add_change(change(at, "b", state, before=before, stop_reason=reason))
    store.add_change(change(at, "a", "backoff", before="ready", stop_reason="guard"))
    store.add_change(change(at, "a", "backoff", before="ready", stop_reason="crash"))
    store.add_occurrence(Occurrence(at=at, kind="guard", model="a", text="1 GiB were available"))


def test_the_summary_counts_each_stop_once(tmp_path: Path) -> None:
    with running_store(tmp_path / "usage.sqlite") as store:
        fill_summary(store)
        summary = UsageReader(store.path, store).history_summary(NOW - 86400, NOW + 86400)
    loads = failed = swaps = crashes = guard = 0
    for day in summary.days:
        loads += day.loads
        failed += day.failed_loads
        swaps += day.swaps
        crashes += day.crashes
        guard += day.guard
    assert (loads, failed, swaps, crashes, guard) == (4, 1, 3, 1, 1)
    by_model = {each.model: each for each in summary.models}
    assert (by_model["a"].loads, by_model["a"].median_seconds, by_model["a"].failed) == (3, 20.0, 0)
    assert (by_model["b"].loads, by_model["b"].median_seconds, by_model["b"].failed) == (0, None, 1)
    assert [each.text for each in summary.guard_events] == ["1 GiB were available"]

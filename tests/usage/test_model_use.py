"""When models were in use, and for which times that is not known."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkd.usage.active import ActiveRequest
from sparkd.usage.intervals import Intervals, join_close, subtract
from sparkd.usage.reader import UsageReader
from sparkd.usage.records import RequestRecord
from sparkd.usage.results import Lane, Span
from sparkd.usage.store import UsageStore
from tests.usage.recorded import NOW, change, request, running_store, wait_for

TIMES = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 9)).map(lambda pair: (pair[0], sum(pair))))


def seconds_of(intervals: list[tuple[int, int]]) -> set[int]:
    return {second for began, ended in intervals for second in range(began, ended)}


@given(TIMES, st.integers(0, 70), st.integers(0, 70))
def test_intervals_are_what_a_set_of_seconds_is(
    intervals: list[tuple[int, int]], since: int, until: int
) -> None:
    times = Intervals(intervals)
    expected = {second for second in seconds_of(intervals) if since <= second < until}
    clipped = times.clip(since, until)
    assert seconds_of([(int(began), int(ended)) for began, ended in clipped]) == expected
    assert clipped == sorted(clipped)
    assert all(left[1] < right[0] for left, right in pairwise(clipped))
    assert times.measure(since, until) == len(expected)
    rest = subtract((since, until), clipped) if since <= until else []
    gaps = {second for second in range(since, until) if second not in expected}
    assert seconds_of([(int(began), int(ended)) for began, ended in rest]) == gaps


def test_short_pauses_are_joined() -> None:
    assert join_close([(0, 1), (1.5, 2), (4, 5)], 1.0) == [(0, 2), (4, 5)]


def used_by(record: RequestRecord) -> tuple[float, float]:
    return record.ended - record.seconds + record.queue_seconds + record.load_seconds, record.ended


def write_load(store: UsageStore, began: float = NOW - 900.0, ended: float | None = None) -> None:
    """A load of "qwen" that is ready from `began` until `ended`."""
    store.session.began = NOW - 1000.0
    store.add_change(change(began - 50.0, "qwen", "starting"))
    store.add_change(change(began, "qwen", "ready"))
    if ended is not None:
        store.add_change(change(ended, "qwen", "stopped", stop_reason="idle"))


def read_ready(reader: UsageReader, active: list[ActiveRequest] | None = None) -> tuple[Lane, Span]:
    """The lane of "qwen" in the last hour, and its span "ready"."""
    (lane,) = reader.history(NOW - 3600.0, NOW, active or []).lanes
    (ready,) = [span for span in lane.spans if span.state == "ready"]
    one = reader.model_history("qwen", NOW - 3600.0, NOW, active or [])
    assert (one.spans, one.in_use) == (lane.spans, lane.in_use)
    return lane, ready


def test_a_ready_model_is_in_use_while_engines_work_on_its_requests(tmp_path: Path) -> None:
    with running_store(tmp_path / "usage.sqlite") as store:
        write_load(store)
        late = request(ended=NOW - 800, seconds=100.0, queue_seconds=30.0, load_seconds=20.0)
        store.add_requests([
            request(ended=NOW - 830, seconds=10.0), late, request(ended=NOW - 500, seconds=60.0),
            request(model="other", ended=NOW - 300, seconds=60.0),
        ])  # fmt: skip
        lane, ready = read_ready(UsageReader(store.path, store))
    assert lane.in_use == [used_by(late), (NOW - 560, NOW - 500)]
    assert ready.in_use == pytest.approx(110.0)
    assert ready.use_unknown == []
    assert {span.in_use for span in lane.spans if span.state != "ready"} == {None}


def test_a_model_without_requests_was_idle_and_one_that_answers_now_is_in_use(tmp_path: Path) -> None:
    with running_store(tmp_path / "usage.sqlite") as store:
        write_load(store)
        reader = UsageReader(store.path, store)
        assert read_ready(reader)[1].in_use == 0.0
        waiting = ActiveRequest(
            id="1", model="qwen", asked="qwen", endpoint="/", streamed=True, began=NOW - 90, phase="queued",
            phase_since=NOW - 90,
        )  # fmt: skip
        assert read_ready(reader, [waiting])[1].in_use == 0.0
        running = ActiveRequest(
            id="1", model="qwen", asked="qwen", endpoint="/", streamed=True, began=NOW - 90, phase="decoding",
            phase_since=NOW - 30, granted=NOW - 40,
        )  # fmt: skip
        lane, ready = read_ready(reader, [running])
        assert lane.in_use == [(NOW - 40, NOW)]
        assert ready.in_use == pytest.approx(40.0)


def test_each_reading_sees_the_requests_that_ended_since_the_last_one(tmp_path: Path) -> None:
    """Written or not, once; and a file that was replaced is read from its beginning."""
    path = tmp_path / "usage.sqlite"
    with running_store(path) as store:
        write_load(store)
        reader = UsageReader(path, store)
        for number in range(1, 6):
            store.add_requests([request(ended=NOW - 500 + 10 * number)])
            assert read_ready(reader)[1].in_use == pytest.approx(2.0 * number)
        wait_for(lambda: not store.has_unwritten)
        assert read_ready(reader)[1].in_use == pytest.approx(10.0)
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("DELETE FROM requests")
        store.add_requests([request(ended=NOW - 100)])
        assert read_ready(reader)[1].in_use == pytest.approx(2.0)


def test_a_longer_period_finds_earlier_requests(tmp_path: Path) -> None:
    with running_store(tmp_path / "usage.sqlite") as store:
        write_load(store)
        store.add_requests([request(ended=NOW - 700, seconds=10.0), request(ended=NOW - 10, seconds=1.0)])
        wait_for(lambda: not store.has_unwritten)
        reader = UsageReader(store.path, store)
        assert reader.model_history("qwen", NOW - 100, NOW).in_use == [(NOW - 11, NOW - 10)]
        assert read_ready(reader)[0].in_use == [(NOW - 710, NOW - 700), (NOW - 11, NOW - 10)]
        assert reader.model_history("qwen", NOW - 100, NOW).in_use == [(NOW - 11, NOW - 10)]


def test_before_the_oldest_request_that_is_kept_use_is_unknown(tmp_path: Path) -> None:
    with running_store(tmp_path / "usage.sqlite") as store:
        write_load(store, ended=NOW - 100)
        store.add_requests([request(ended=NOW - 900 + 100 * number, seconds=5.0) for number in range(1, 7)])
        wait_for(lambda: not store.has_unwritten)
        with closing(sqlite3.connect(store.path)) as connection, connection:
            connection.execute("DELETE FROM requests WHERE number <= 3")
        reader = UsageReader(store.path, store)
        lane, ready = read_ready(reader)
        assert lane.in_use[0] == (NOW - 505, NOW - 500)
        assert ready.use_unknown == [(NOW - 900, NOW - 505)]
        assert ready.in_use == pytest.approx(15.0)


def test_while_requests_are_not_recorded_use_is_unknown(tmp_path: Path) -> None:
    with running_store(tmp_path / "usage.sqlite", record=False) as store:
        write_load(store, ended=NOW - 100)
        _, ready = read_ready(UsageReader(store.path, store))
    assert ready.use_unknown == [(ready.began, ready.ended)]
    assert ready.in_use is None


def test_after_a_kill_use_is_unknown_since_the_last_request(tmp_path: Path) -> None:
    """Requests that were in flight at a kill or power failure are not recorded."""
    path = tmp_path / "usage.sqlite"
    with running_store(path) as killed:
        write_load(killed)
        killed.add_requests([request(ended=NOW - 700, seconds=10.0)])
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE sessions SET seen = ?, ended = NULL", (NOW - 400,))
    with running_store(path) as store:
        _, ready = read_ready(UsageReader(path, store))
    assert ready.ended == NOW - 400
    assert ready.use_unknown == [(NOW - 700, NOW - 400)]
    assert ready.in_use == pytest.approx(10.0)


def test_a_lane_stays_small(tmp_path: Path) -> None:
    with running_store(tmp_path / "usage.sqlite") as store:
        write_load(store)
        store.add_requests([request(ended=NOW - 890 + number / 10, seconds=0.05) for number in range(8000)])
        lane, ready = read_ready(UsageReader(store.path, store))
    assert len(lane.in_use) <= 1000
    assert ready.in_use == pytest.approx(400.0)

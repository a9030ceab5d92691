"""What is counted: requests, loads, stops, quarantines; and how many rows there are at most."""

from __future__ import annotations

import pytest

from sparkd.metrics.event_counts import MAX_HISTOGRAM_ROWS, MAX_ROWS, EventCounts
from sparkd.metrics.families import Histogram
from sparkd.usage.records import OTHER, RequestRecord, StateChange
from tests.metrics.records import CHAT, change, record, values


def count(*records: RequestRecord) -> EventCounts:
    counts = EventCounts({"m", "other-model"}.__contains__)
    counts.on_requests(records)
    return counts


def follow(*changes: StateChange) -> EventCounts:
    counts = EventCounts({"m"}.__contains__)
    for each in changes:
        counts.on_state_changes([each])
    return counts


def observations(found: object) -> tuple[int, float]:
    """The number of observations and their sum."""
    assert isinstance(found, Histogram)
    return sum(found.counts), found.sum


def test_a_request_is_counted_with_its_tokens_and_times() -> None:
    rows = count(record(), record(status=499, gone="decoding")).rows()
    assert values(rows, "sparkd_requests_total") == {
        ("m", "laptop", CHAT, "200"): 1,
        ("m", "laptop", CHAT, "499"): 1,
    }
    assert values(rows, "sparkd_tokens_total") == {
        ("m", "laptop", "input"): 200,
        ("m", "laptop", "cached"): 120,
        ("m", "laptop", "output"): 22,
    }
    assert observations(values(rows, "sparkd_request_duration_seconds")["m", CHAT]) == (2, 2.5)
    assert observations(values(rows, "sparkd_time_to_first_token_seconds")["m", CHAT]) == (2, 0.5)
    assert observations(values(rows, "sparkd_time_per_output_token_seconds")["m", CHAT]) == (2, 0.2)
    assert values(rows, "sparkd_client_gone_total") == {
        ("queued",): 0,
        ("loading",): 0,
        ("prefill",): 0,
        ("decoding",): 1,
    }


def test_the_phases_of_a_request_add_up_to_its_duration() -> None:
    waited = record(queue_seconds=2.0, load_seconds=3.0, first_token_seconds=5.5, seconds=9.0)
    rows = count(waited, record(first_token_seconds=None, queue_seconds=1.0, seconds=4.0)).rows()
    phases = values(rows, "sparkd_request_phase_seconds_total")
    assert phases == {
        ("m", "queued"): 3.0,
        ("m", "loading"): 3.0,
        ("m", "prefill"): 0.5,
        ("m", "decoding"): 3.5,
        ("m", "answering"): 3.0,
    }
    assert observations(values(rows, "sparkd_queue_wait_seconds")["m",]) == (2, 6.0)


def test_unknown_tokens_are_not_counted_as_none() -> None:
    rows = count(record(tokens_in=None, tokens_cached=None, tokens_out=None, first_token_seconds=None)).rows()
    for name in ("tokens_total", "time_to_first_token_seconds", "time_per_output_token_seconds"):
        assert values(rows, f"sparkd_{name}") == {}


def test_errors_rewrites_and_heartbeats() -> None:
    rows = count(
        record(status=429, code="queue_full", rewrites=("roles", "images"), heartbeats=3),
        record(heartbeats=2),
    ).rows()
    assert values(rows, "sparkd_refusals_total") == {("queue_full",): 1}
    assert values(rows, "sparkd_rewrites_total") == {("roles",): 1, ("images",): 1}
    assert values(rows, "sparkd_heartbeats_total") == {(CHAT,): 5}


def test_a_model_that_the_catalogue_does_not_have_is_other() -> None:
    counts = count(*(record(model=name) for name in ("made-up", "../../etc/passwd", OTHER)))
    assert list(values(counts.rows(), "sparkd_requests_total")) == [(OTHER, "laptop", CHAT, "200")]
    assert values(counts.rows(), "sparkd_queue_wait_seconds") == {}
    assert counts.last_used == {}


def test_the_number_of_rows_is_bounded_and_nothing_is_lost() -> None:
    many = MAX_ROWS + 500
    rows = count(*(record(client=f"key-{number}", endpoint=f"/{number}") for number in range(many))).rows()
    requests = values(rows, "sparkd_requests_total")
    assert len(requests) == MAX_ROWS + 1
    assert requests[OTHER, OTHER, OTHER, OTHER] == 500
    durations = values(rows, "sparkd_request_duration_seconds")
    assert len(durations) == MAX_HISTOGRAM_ROWS + 1
    assert sum(observations(each)[0] for each in durations.values()) == many


@pytest.mark.parametrize("seconds", [0.0, -1.0, 0.01, 1e9])
def test_every_duration_has_a_bucket(seconds: float) -> None:
    found = values(count(record(seconds=seconds)).rows(), "sparkd_request_duration_seconds")["m", CHAT]
    assert observations(found) == (1, max(0.0, seconds))


def test_a_bucket_includes_its_bound() -> None:
    found = values(count(record(seconds=0.01)).rows(), "sparkd_request_duration_seconds")["m", CHAT]
    assert isinstance(found, Histogram)
    assert found.counts[0] == 1


def test_loads_by_how_they_ended() -> None:
    rows = follow(
        change("starting"),
        change("ready", 42.0),
        change("draining", 100.0, stop_reason="evicted"),
        change("stopping", 1.0, stop_reason="evicted"),
        change("stopped", 1.0, stop_reason="evicted"),
        change("starting"),
        change("backoff", 7.0, stop_reason="crash"),
        change("stopped", 60.0),
        change("starting"),
        change("stopping", 3.0, stop_reason="operator"),
        change("stopped", 3.0, stop_reason="operator"),
    ).rows()
    loads = values(rows, "sparkd_model_load_seconds")
    assert {outcome: observations(found) for (_, outcome), found in loads.items()} == {
        "ready": (1, 42.0),
        "failed": (1, 7.0),
        "cancelled": (1, 3.0),
    }
    assert values(rows, "sparkd_model_stops_total") == {
        ("m", "evicted"): 1,
        ("m", "crash"): 1,
        ("m", "operator"): 1,
    }


def test_a_kill_by_the_memory_guard_is_an_action_of_it() -> None:
    assert values(follow().rows(), "sparkd_guard_actions_total") == {("kill",): 0}
    rows = follow(change("starting"), change("backoff", stop_reason="guard")).rows()
    assert values(rows, "sparkd_guard_actions_total") == {("kill",): 1}
    assert values(rows, "sparkd_model_stops_total") == {("m", "guard"): 1}


def test_the_stop_of_a_model_that_was_taken_over_counts_once() -> None:
    """After a re-exec its earlier states are unknown."""
    ends = [change(state, stop_reason="idle") for state in ("draining", "stopping", "stopped")]
    rows = follow(*ends, change("removed", stop_reason="drained")).rows()
    assert values(rows, "sparkd_model_stops_total") == {("m", "idle"): 1}


def test_quarantines_that_begin_are_counted() -> None:
    counts = EventCounts({"m"}.__contains__)
    counts.on_quarantined(["m"], is_start=True)
    counts.on_quarantined(["m"])
    assert values(counts.rows(), "sparkd_quarantines_total") == {}
    counts.on_quarantined([])
    counts.on_quarantined(["m"])
    assert values(counts.rows(), "sparkd_quarantines_total") == {("m",): 1}

"""Both formats: read by prometheus_client and by promtool, with names and values that need care."""

from __future__ import annotations

import gzip
import re
import subprocess

import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics

from sparkd.metrics.event_counts import EventCounts
from sparkd.metrics.exposition import COMPRESS_FROM, OPENMETRICS, PLAIN, Exposition, compress, expose
from sparkd.metrics.families import FAMILIES, Family, Histogram, Rows
from tests.metrics.contrib import find_program
from tests.metrics.records import change, record, samples

ODD = 'a "quoted"\nname \\ with everything, ü and 語'
PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)


def every_family(text: str = "x") -> list[Rows]:
    """One row of each."""
    return [Rows(family, [((text,) * len(family.labels), _value(family))]) for family in FAMILIES]


def _value(family: Family) -> float | Histogram:
    if family.kind == "histogram":
        return Histogram(tuple(range(len(family.buckets) + 1)), 12.5)
    return 1.0


@pytest.mark.parametrize("text", ["x", "", ODD])
def test_every_family_is_read_back(text: str) -> None:
    plain = expose(every_family(text), "", "")
    assert plain.media_type == PLAIN
    found = samples(plain.body.decode())
    assert found["sparkd_queue_limit"] == 1.0
    names = {name.partition("{")[0] for name in found}
    for family in FAMILIES:
        assert (f"{family.name}_count" if family.kind == "histogram" else family.name) in names


@pytest.mark.parametrize("text", ["x", "", ODD])
def test_openmetrics_is_valid_too(text: str) -> None:
    exposition = expose(every_family(text), PROMETHEUS, "")
    assert exposition.media_type == OPENMETRICS
    found = {family.name: family for family in _read_openmetrics(exposition.body.decode())}
    assert found["sparkd_requests"].type == "counter"
    assert found["sparkd_model"].type == "info"
    histogram = found["sparkd_queue_wait_seconds"]
    assert [each.labels["le"] for each in histogram.samples if each.name.endswith("_bucket")][-1] == "+Inf"


def _read_openmetrics(text: str) -> list[Metric]:
    return list(read_openmetrics(text))  # type: ignore[no-untyped-call]


def test_promtool_finds_nothing_to_complain_about() -> None:
    counts = EventCounts({"m"}.__contains__)
    counts.on_requests([record(), record(status=500, code="engine_error", rewrites=("roles",), heartbeats=1)])
    counts.on_state_changes([change("starting"), change("ready", 3.0)])
    rows = [*(each for each in every_family() if not _is_counted(each, counts)), *counts.rows()]
    ran = subprocess.run(
        [find_program("promtool"), "check", "metrics"],
        input=expose(rows, "", "").body,
        capture_output=True,
        check=False,
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, b"", b"")


def _is_counted(rows: Rows, counts: EventCounts) -> bool:
    return any(each.family is rows.family for each in counts.rows())


def test_a_family_of_which_nothing_is_known_is_left_out() -> None:
    text = expose([Rows(family, []) for family in FAMILIES], "", "").body.decode()
    assert "sparkd_" not in text
    assert "process_resident_memory_bytes" in text


def test_the_buckets_of_a_histogram_are_cumulative() -> None:
    family = Family("h_seconds", "histogram", "A test.", (), (0.5, 1.0, 2.0))
    text = expose([Rows(family, [((), Histogram((1, 0, 2, 4), 9.5))])], "", "").body.decode()
    lines = [line for line in text.splitlines() if line.startswith("h_seconds")]
    assert lines == [
        'h_seconds_bucket{le="0.5"} 1',
        'h_seconds_bucket{le="1.0"} 1',
        'h_seconds_bucket{le="2.0"} 3',
        'h_seconds_bucket{le="+Inf"} 7',
        "h_seconds_count 7",
        "h_seconds_sum 9.5",
    ]


@pytest.mark.parametrize("asked", ["gzip", "deflate, gzip;q=1.0, *;q=0.5", "br;q=1.0, GZIP"])
def test_long_texts_are_compressed_for_those_who_take_it(asked: str) -> None:
    long = Exposition(b"x" * COMPRESS_FROM, PLAIN)
    compressed = compress(long, asked)
    assert compressed.coding == "gzip"
    assert gzip.decompress(compressed.body) == long.body


@pytest.mark.parametrize("asked", ["", "identity", "br", "gzip;q=0", "gzip; q=0.000", "xgzip"])
def test_others_get_the_text_as_it_is(asked: str) -> None:
    long = Exposition(b"x" * COMPRESS_FROM, PLAIN)
    assert compress(long, asked) == long
    assert compress(Exposition(b"short", PLAIN), "gzip").coding == ""


def test_names_follow_prometheus_conventions() -> None:
    assert len({family.name for family in FAMILIES}) == len(FAMILIES)
    for family in FAMILIES:
        assert re.fullmatch(r"sparkd_[a-z_]+", family.name)
        assert family.name.endswith("_total") == (family.kind == "counter")
        assert family.name.endswith("_info") == (family.kind == "info")
        assert bool(family.buckets) == (family.kind == "histogram")
        assert list(family.buckets) == sorted(set(family.buckets))
        assert family.help.endswith(".")
        assert not set(family.help) & set('"\\\n'), "the formats escape these differently"

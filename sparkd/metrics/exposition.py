"""Metrics as text, in the formats that Prometheus reads: its own, version 0.0.4, and OpenMetrics.

Written by prometheus_client, which is imported here, at the first scrape: its import takes 80 ms. Call from a thread.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from sparkd.metrics.families import Histogram, Rows

if TYPE_CHECKING:
    from prometheus_client.core import Metric

COMPRESS_FROM: Final = 1000
"""Bytes. A shorter text is not compressed."""

PLAIN: Final = "text/plain; version=0.0.4; charset=utf-8"
"""The media type of Prometheus's text format."""


OPENMETRICS: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"
"""That of OpenMetrics. Prometheus asks for it in every version since 2.5."""


class Exposition(Struct, frozen=True):
    """A response: its body, its media type, and the coding of the body, "" for none."""

    body: bytes
    media_type: str
    coding: str = ""


class _Collector:
    """What prometheus_client asks for the families. Those without rows are left out: nothing is known of them."""

    def __init__(self, rows: Iterable[Rows]) -> None:
        self._rows = rows

    def collect(self) -> Iterator[Metric]:
        """The families, then the daemon's own process: CPU time, memory, descriptors."""
        from prometheus_client import ProcessCollector  # noqa: PLC0415

        yield from (_make_metric(rows) for rows in self._rows if rows.values)
        yield from ProcessCollector(registry=None).collect()


def expose(rows: Iterable[Rows], accept: str, accept_encoding: str) -> Exposition:
    """Write the families in the format that the headers Accept and Accept-Encoding ask for."""
    from prometheus_client import generate_latest  # noqa: PLC0415
    from prometheus_client.openmetrics import exposition as openmetrics  # noqa: PLC0415

    if "application/openmetrics-text" in accept:
        exposition = Exposition(
            openmetrics.generate_latest(_Collector(rows)),  # type: ignore[no-untyped-call]
            OPENMETRICS,
        )
    else:
        exposition = Exposition(generate_latest(_Collector(rows)), PLAIN)
    return compress(exposition, accept_encoding)


def compress(exposition: Exposition, accept_encoding: str) -> Exposition:
    """The same in gzip if the client takes it and it is worth it."""
    if len(exposition.body) < COMPRESS_FROM or not _accepts_gzip(accept_encoding):
        return exposition
    return Exposition(gzip.compress(exposition.body, 4, mtime=0), exposition.media_type, "gzip")


def format_number(value: float) -> str:
    """A number as Prometheus reads it. Raises OverflowError for an integer beyond what a float can be."""
    text = repr(float(value))
    return {"inf": "+Inf", "-inf": "-Inf", "nan": "NaN"}.get(text, text)


def _accepts_gzip(accept_encoding: str) -> bool:
    for each in accept_encoding.lower().split(","):
        coding, _, parameters = each.partition(";")
        if coding.strip() == "gzip":
            return parameters.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def _make_metric(rows: Rows) -> Metric:
    from prometheus_client import core  # noqa: PLC0415

    family = rows.family
    if family.kind == "info":
        info = core.InfoMetricFamily(family.name.removesuffix("_info"), family.help)
        for labels, _ in rows.values:
            info.add_metric([], dict(zip(family.labels, labels, strict=True)))
        return info
    if family.kind == "histogram":
        histogram = core.HistogramMetricFamily(family.name, family.help, labels=family.labels)
        bounds = [format_number(bound) for bound in (*family.buckets, float("inf"))]
        for labels, value in rows.values:
            if isinstance(value, Histogram):
                histogram.add_metric(
                    labels, list(zip(bounds, accumulate(value.counts), strict=True)), value.sum
                )
        return histogram
    simple = core.CounterMetricFamily if family.kind == "counter" else core.GaugeMetricFamily
    metric = simple(family.name, family.help, labels=family.labels)
    for labels, value in rows.values:
        if not isinstance(value, Histogram):
            metric.add_metric(labels, value)
    return metric

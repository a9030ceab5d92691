"""Metrics as text, in the formats that Prometheus reads: its own, version 0.0.4, and OpenMetrics.

Written here, because that takes a microsecond a line instead of ten, and a thread that works delays the event loop.
prometheus_client adds the figures of the process; it is imported at the first scrape, which takes 80 ms. Call from a
thread.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from math import inf
from typing import Final

from msgspec import Struct

from sparkd.metrics.families import Histogram, Rows

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


def expose(rows: Iterable[Rows], accept: str, accept_encoding: str) -> Exposition:
    """Write the families in the format that the headers Accept and Accept-Encoding ask for.

    Families without rows are left out: nothing is known of them. The daemon's own process comes last: CPU time, memory,
    descriptors.
    """
    is_openmetrics = "application/openmetrics-text" in accept
    own = "".join(
        text for each in rows if each.values for text in _write(each, is_openmetrics=is_openmetrics)
    )
    body = own.encode() + _write_process(is_openmetrics=is_openmetrics)
    return compress(Exposition(body, OPENMETRICS if is_openmetrics else PLAIN), accept_encoding)


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


def _write(rows: Rows, *, is_openmetrics: bool) -> Iterator[str]:
    """The lines of a family. OpenMetrics names counters and infos without their suffix where it describes them."""
    family = rows.family
    name, kind = family.name, family.kind
    if is_openmetrics:
        name = name.removesuffix("_total").removesuffix("_info")
    elif kind == "info":
        kind = "gauge"
    yield f"# HELP {name} {_escape(family.help)}\n# TYPE {name} {kind}\n"
    bounds = [f'le="{format_number(bound)}"' for bound in (*family.buckets, inf)]
    for values, value in rows.values:
        labels = ",".join(
            f'{label}="{_escape(text)}"' for label, text in zip(family.labels, values, strict=True)
        )
        if isinstance(value, Histogram):
            yield _write_histogram(family.name, labels, bounds, value)
        else:
            yield (
                f"{family.name}{{{labels}}} {format_number(value)}\n"
                if labels
                else (f"{family.name} {format_number(value)}\n")
            )


def _write_histogram(name: str, labels: str, bounds: Sequence[str], value: Histogram) -> str:
    start = f"{name}_bucket{{{labels}," if labels else f"{name}_bucket{{"
    lines = [
        f"{start}{bound}}} {count}\n" for bound, count in zip(bounds, accumulate(value.counts), strict=True)
    ]
    braced = f"{{{labels}}}" if labels else ""
    lines += f"{name}_count{braced} {sum(value.counts)}\n", f"{name}_sum{braced} {format_number(value.sum)}\n"
    return "".join(lines)


def _write_process(*, is_openmetrics: bool) -> bytes:
    """The figures of this process, and the end of the text."""
    from prometheus_client import ProcessCollector, generate_latest  # noqa: PLC0415
    from prometheus_client.openmetrics import exposition as openmetrics  # noqa: PLC0415

    process = ProcessCollector(registry=None)
    if is_openmetrics:
        text: bytes = openmetrics.generate_latest(process)  # type: ignore[no-untyped-call]
        return text
    return generate_latest(process)


def _escape(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")

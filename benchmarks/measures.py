"""The measurements: each function puts one load on one contestant and returns figures by name.

A name ends in its unit. CPU figures are the contestant's own, without those of the engine and the load generator.
"""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

from benchmarks.contestants import OTHER_CORE, Bench, Running

Figures = dict[str, float]

BODY = 300
"""Size of a small request's body, in bytes."""


def _load(
    bench: Bench,
    to: Running,
    behaviour: str,
    *,
    connections: int,
    seconds: float = 0,
    requests: int = 0,
    body: int = BODY,
) -> tuple[dict[str, Any], float]:
    """Run the load generator; return its report, and the CPU time that the contestant used, in seconds.

    The engine responds as `behaviour` says. Raises RuntimeError if a request failed.
    """
    argv = [bench.load, to.port, connections, seconds, requests, body, to.headers, behaviour]
    before = to.cpu()
    done = subprocess.run(
        [str(argument) for argument in argv],
        check=True,
        capture_output=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {OTHER_CORE}),
        timeout=120,
    )
    report: dict[str, Any] = json.loads(done.stdout)
    if report["failures"] or not (report["requests"] or report["events"]):
        raise RuntimeError(f"{behaviour}: {report}")
    return report, to.cpu() - before


def one_at_a_time(bench: Bench, to: Running, quick: bool) -> Figures:
    report, _ = _load(bench, to, "small", connections=1, seconds=0.5 if quick else 2)
    return {"c=1 p50 µs": report["whole"]["p50"]}


def thirty_two_at_once(bench: Bench, to: Running, quick: bool) -> Figures:
    report, cpu = _load(bench, to, "small", connections=32, seconds=1 if quick else 3)
    return {
        "c=32 requests/s": report["requests"] / report["seconds"],
        "c=32 p99 ms": report["whole"]["p99"] / 1000,
        "CPU µs/request": cpu / report["requests"] * 1e6,
    }


def first_chunk(bench: Bench, to: Running, quick: bool) -> Figures:
    report, _ = _load(bench, to, "stream 3", connections=1, seconds=0.5 if quick else 2)
    return {"first chunk µs": report["first"]["p50"]}


def full_speed(bench: Bench, to: Running, quick: bool) -> Figures:
    report, _ = _load(bench, to, "stream 10000", connections=16, seconds=1 if quick else 3)
    return {"16 streams: events k/s": report["events"] / report["seconds"] / 1000}


def paced(bench: Bench, to: Running, quick: bool) -> Figures:
    report, cpu = _load(bench, to, "paced 100 50", connections=64, seconds=2.5 if quick else 6)
    return {
        "64 paced streams: one-way p50 µs": report["way"]["p50"],
        "64 paced streams: one-way p99 µs": report["way"]["p99"],
        "CPU ms/1000 events": cpu / report["events"] * 1e6,
    }


def large_body(bench: Bench, to: Running, quick: bool) -> Figures:
    report, _ = _load(bench, to, "small", connections=1, requests=10 if quick else 30, body=8_000_000)
    return {"8 MB ms": report["whole"]["p50"] / 1000}


def memory(_: Bench, of: Running, __: bool) -> Figures:
    if not of.processes:
        return {}
    return {"peak MB": of.peak() / 1e6, "idle MB": of.idle / 1e6, "start ms": of.start * 1000}


MEASURES = (one_at_a_time, thirty_two_at_once, first_chunk, full_speed, paced, large_body, memory)

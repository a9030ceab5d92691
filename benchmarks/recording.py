"""What the measurement of requests costs: python -m benchmarks.recording [ROUNDS]

Whole daemons take turns: one that measures nothing, sparkd as it is, and one that also asks for the usage of streams,
and, if SPARKD_BEFORE names another checkout, that. The figures are the CPU time of the daemon, and the least of all
rounds, so that other programs on the machine disturb them little.
"""

from __future__ import annotations

import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from benchmarks.__main__ import _compiled
from benchmarks.contestants import Bench, Running, Unavailable, asked, before, sparkd, unrecorded
from benchmarks.measures import _load

CONTESTANTS = (before, unrecorded, sparkd, asked)
LOADS = {
    "small request, µs": ("small", 32, "requests"),
    "stream of 3 events, µs": ("stream 3", 16, "requests"),
    "paced event, µs": ("paced 25 50", 64, "events"),
    "fast event, µs": ("stream 20000", 4, "events"),
}
"""The behaviour of the engine, the number of connections, and what the CPU time is divided by."""

SECONDS = 0.4


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 8
    with tempfile.TemporaryDirectory(prefix="sparkd-bench-") as folder, ExitStack() as stack:
        bench = Bench(Path(folder), *_compiled(Path(folder)))
        running: dict[str, Running] = {}
        for contestant in CONTESTANTS:
            try:
                running[contestant.__name__] = stack.enter_context(contestant(bench))
            except Unavailable as reason:
                print(f"without {contestant.__name__}: {reason}", file=sys.stderr)
        costs: dict[str, dict[str, float]] = {load: {} for load in LOADS}
        for turn in range(rounds):
            for load, least in costs.items():
                for name in sorted(running, reverse=turn % 2 == 1):
                    cost = measure(bench, running[name], load)
                    least[name] = min(cost, least.get(name, cost))
        print_table(list(running), costs)


def measure(bench: Bench, to: Running, load: str) -> float:
    """CPU time of the daemon for one request or event, in microseconds."""
    behaviour, connections, unit = LOADS[load]
    report, cpu = _load(bench, to, behaviour, connections=connections, seconds=SECONDS)
    return cpu / float(report[unit]) * 1e6


def print_table(names: list[str], costs: dict[str, dict[str, float]]) -> None:
    print(f"| CPU time of one | {' | '.join(names)} | sparkd / unrecorded |")
    print(f"|---|{'---:|' * (len(names) + 1)}")
    for load, least in costs.items():
        cells = " | ".join(f"{least[name]:.2f}" for name in names)
        print(f"| {load} | {cells} | {least['sparkd'] / least['unrecorded']:.3f} |")


if __name__ == "__main__":
    main()

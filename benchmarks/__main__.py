"""Starts every contestant, measures them in turns, prints the tables."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from benchmarks.contestants import CONTESTANTS, CORES, Bench, Running, Unavailable
from benchmarks.measures import MEASURES, Figures
from benchmarks.table import table

NATIVE = Path(__file__).parent / "native"
RECORD = Path(__file__).parent.parent / "docs" / "performance.md"
MARKS = ("<!-- figures -->", "<!-- end of figures -->")


def main() -> int:
    """Run the benchmarks; return the exit status."""
    arguments = _arguments()
    wanted = arguments.only.split(",") if arguments.only else [each.__name__ for each in CONTESTANTS]
    figures: dict[str, list[Figures]] = {}
    with tempfile.TemporaryDirectory(prefix="sparkd-bench-") as folder:
        bench = Bench(Path(folder), *_compiled(Path(folder)))
        for turn in range(1 if arguments.quick else arguments.rounds):
            for name, taken in _measure(bench, wanted, turn, arguments.quick).items():
                figures.setdefault(name, []).append(taken)
    result = f"{_conditions(arguments)}\n\n{table(figures)}"
    print(result)
    if arguments.write:
        _write(result)
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(figures, indent=1))
    return 0


def _measure(bench: Bench, wanted: Sequence[str], turn: int, quick: bool) -> dict[str, Figures]:
    """Collect the figures of one round. Contestants are measured next to each other, in alternating order.

    Each round starts them again: a process may be a tenth faster or slower than another one of the same program, all
    its life.
    """
    with ExitStack() as stack:
        running = _start(replace(bench, folder=bench.folder / str(turn)), wanted, stack)
        figures: dict[str, Figures] = {name: {} for name in running}
        for measure in MEASURES:
            for name in sorted(running, reverse=turn % 2 == 1):
                print(f"round {turn + 1}: {measure.__name__}: {name}", file=sys.stderr)
                figures[name] |= measure(bench, running[name], quick)
    return figures


def _start(bench: Bench, wanted: Sequence[str], stack: ExitStack) -> dict[str, Running]:
    bench.folder.mkdir()
    running: dict[str, Running] = {}
    for contestant in CONTESTANTS:
        if contestant.__name__ not in wanted:
            continue
        try:
            running[contestant.__name__] = stack.enter_context(contestant(bench))
        except Unavailable as reason:
            print(f"without {contestant.__name__}: {reason}", file=sys.stderr)
    return running


def _compiled(folder: Path) -> tuple[Path, Path]:
    """Compile the engine and the load generator; return both programs."""
    for name in ("engine", "load"):
        source = NATIVE / f"{name}.c"
        subprocess.run(["cc", "-O2", "-Wall", "-Wextra", "-o", folder / name, source], check=True)
    return folder / "engine", folder / "load"


def _conditions(arguments: argparse.Namespace) -> str:
    rounds = "one short round" if arguments.quick else f"medians of {arguments.rounds} interleaved rounds"
    load = os.getloadavg()[0]
    python = platform.python_version()
    return f"{len(CORES)} cores, Python {python}, {rounds}; load average at the end {load:.1f}."


def _write(result: str) -> None:
    before, _, rest = RECORD.read_text().partition(MARKS[0])
    after = rest.partition(MARKS[1])[2]
    RECORD.write_text(f"{before}{MARKS[0]}\n\n{result}\n\n{MARKS[1]}{after}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="benchmarks/run",
        description="Compare sparkd with other proxies in front of one simulated engine.",
        epilog="Two contestants need an environment variable: LLAMA_SWAP is the path of llama-swap's program, "
        "SPARKD_BEFORE the folder of another checkout of sparkd, whose scripts/install has run.",
    )
    parser.add_argument("--quick", action="store_true", help="one short round, for a first impression")
    parser.add_argument("--rounds", type=int, default=5, help="rounds whose medians are printed (default 5)")
    parser.add_argument("--only", metavar="NAMES", help="comma-separated contestants: sparkd,nginx,…")
    parser.add_argument("--json", metavar="FILE", help="write every figure of every round to FILE")
    parser.add_argument("--write", action="store_true", help="write the tables into docs/performance.md")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

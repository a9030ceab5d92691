"""Starts everybody, measures in turns, prints the table."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from benchmarks.contestants import CONTESTANTS, Ground, Running, Unavailable
from benchmarks.measures import MEASURES, Figures
from benchmarks.table import table

NATIVE = Path(__file__).parent / "native"


def main() -> int:
    """Run the benchmarks; return the exit status."""
    arguments = _arguments()
    with tempfile.TemporaryDirectory(prefix="sparkd-bench-") as folder, ExitStack() as stack:
        ground = Ground(Path(folder), *_compiled(Path(folder)))
        running: dict[str, Running] = {}
        for contestant in CONTESTANTS:
            if arguments.only and contestant.__name__ not in arguments.only.split(","):
                continue
            try:
                running[contestant.__name__] = stack.enter_context(contestant(ground))
            except Unavailable as reason:
                print(f"without {contestant.__name__}: {reason}", file=sys.stderr)
        figures = _measure(ground, running, 1 if arguments.quick else arguments.rounds, arguments.quick)
    print(table(figures))
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(figures, indent=1))
    return 0


def _measure(
    ground: Ground, running: dict[str, Running], rounds: int, quick: bool
) -> dict[str, list[Figures]]:
    """All figures of all rounds. Neighbours in time are compared, and nobody always goes first."""
    figures: dict[str, list[Figures]] = {name: [] for name in running}
    for turn in range(rounds):
        for taken in figures.values():
            taken.append({})
        for measure in MEASURES:
            for name in sorted(running, reverse=turn % 2 == 1):
                print(f"round {turn + 1}/{rounds}: {measure.__name__}: {name}", file=sys.stderr)
                figures[name][-1] |= measure(ground, running[name], quick)
    return figures


def _compiled(folder: Path) -> tuple[Path, Path]:
    """The engine and the load, compiled."""
    for name in ("engine", "load"):
        source = NATIVE / f"{name}.c"
        subprocess.run(["cc", "-O2", "-Wall", "-Wextra", "-o", folder / name, source], check=True)
    return folder / "engine", folder / "load"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="benchmarks/run",
        description="Compare sparkd with other proxies in front of one simulated engine.",
    )
    parser.add_argument(
        "--quick", action="store_true", help="one short round: for a look, not for the record"
    )
    parser.add_argument("--rounds", type=int, default=5, help="rounds whose medians are printed (default 5)")
    parser.add_argument("--only", metavar="NAMES", help="comma-separated contestants: sparkd,nginx,…")
    parser.add_argument("--json", metavar="FILE", help="write every figure of every round there, too")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

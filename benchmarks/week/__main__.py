"""Runs the simulated weeks, and prints a table for each speed of loads. `python -m benchmarks.week --help`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import mean

from benchmarks.week.contestants import CONTESTANTS
from benchmarks.week.households import HOUSEHOLDS, Household
from benchmarks.week.simulation import Simulation, Waits

RECORD = Path(__file__).parent.parent.parent / "docs" / "performance.md"
MARKS = ("<!-- week -->", "<!-- end of week -->")
LOADS = {"cold": 1.0, "cached": 0.5, "warm": 0.25}
FIGURES = ("waiting, hours", "mean s", "p95 s", "longest s", "loads", "refused")
COLUMNS = ("household", "rules", *FIGURES, "by kind, mean s")


def main() -> int:
    """Run the weeks; return the exit status."""
    arguments = _parse_arguments()
    parts = []
    for loads in arguments.loads.split(","):
        rows = list(_rows(arguments, LOADS[loads]))
        parts.append(f"Loads: {loads}, {LOADS[loads]:g} of the cold time.\n\n{_table(rows)}")
    seeds = len(arguments.seeds.split(","))
    result = f"Means of {seeds} weeks; `longest` is the longest of all.\n\n" + "\n\n".join(parts)
    print(result)
    if arguments.write:
        before, _, rest = RECORD.read_text().partition(MARKS[0])
        RECORD.write_text(f"{before}{MARKS[0]}\n\n{result}\n\n{MARKS[1]}{rest.partition(MARKS[1])[2]}")
    return 0


def _rows(arguments: argparse.Namespace, load_factor: float) -> Iterator[list[str]]:
    for household in HOUSEHOLDS:
        if arguments.household and household.name not in arguments.household.split(","):
            continue
        for name in arguments.rules.split(","):
            weeks = [_run(household, name, int(seed), load_factor) for seed in arguments.seeds.split(",")]
            yield [household.name, name, *_figures(weeks)]


def _run(household: Household, name: str, seed: int, load_factor: float) -> Waits:
    simulation = Simulation(household, seed, load_factor)
    return simulation.run(CONTESTANTS[name](simulation))


def _figures(weeks: Sequence[Waits]) -> list[str]:
    waits = [week.all() for week in weeks]
    kinds = sorted({kind for week in weeks for kind in week.by_kind})
    return [
        f"{mean(sum(each) for each in waits) / 3600:.1f}",
        f"{mean(map(mean, waits)):.1f}",
        f"{mean(each[int(len(each) * 0.95)] for each in waits):.0f}",
        f"{max(each[-1] for each in waits):.0f}",
        f"{mean(week.loads for week in weeks):.0f}",
        f"{mean(week.refusals for week in weeks):.1f}",
        ", ".join(f"{kind} {mean(mean(week.by_kind[kind]) for week in weeks):.1f}" for kind in kinds),
    ]


def _table(rows: Sequence[Sequence[str]]) -> str:
    rule = "|---|---|" + "---:|" * len(FIGURES) + "---|"
    return "\n".join([_line(COLUMNS), rule, *map(_line, rows)])


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.week", description="Compare scheduling rules over a simulated week."
    )
    parser.add_argument("--household", metavar="NAMES", default="", help="comma-separated; default: all")
    parser.add_argument(
        "--rules", metavar="NAMES", default=",".join(CONTESTANTS), help="comma-separated; default: all"
    )
    parser.add_argument(
        "--loads", metavar="NAMES", default=",".join(LOADS), help="comma-separated; default: all"
    )
    parser.add_argument("--seeds", metavar="NUMBERS", default="1,2,3", help="comma-separated; default: 1,2,3")
    parser.add_argument("--write", action="store_true", help="write the tables into docs/performance.md")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

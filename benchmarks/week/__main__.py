"""Runs the simulated weeks, and prints a table. `python -m benchmarks.week --help`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import mean

from benchmarks.week.contestants import CONTESTANTS
from benchmarks.week.households import HOUSEHOLDS, Household
from benchmarks.week.simulation import Simulation, Waits

RECORD = Path(__file__).parent.parent.parent / "docs" / "performance.md"
MARKS = ("<!-- week -->", "<!-- end of week -->")
LOADS = {"cold": 1.0, "cached": 0.5, "warm": 0.25}


def main() -> int:
    """Run the weeks; return the exit status."""
    arguments = _parse_arguments()
    rules = arguments.rules.split(",")
    households = [each for each in HOUSEHOLDS if each.name in arguments.household.split(",")]
    rows = []
    for household in households:
        for loads in arguments.loads.split(","):
            cells = [_measure(arguments, household, name, LOADS[loads]) for name in rules]
            rows.append([household.name, loads, *cells])
    columns = ["household", "loads", *rules]
    result = "\n".join([_line(columns), "|---|---|" + "---:|" * len(rules), *map(_line, rows)])
    print(result)
    if arguments.write:
        before, _, rest = RECORD.read_text().partition(MARKS[0])
        RECORD.write_text(f"{before}{MARKS[0]}\n\n{result}\n\n{MARKS[1]}{rest.partition(MARKS[1])[2]}")
    return 0


def _measure(arguments: argparse.Namespace, household: Household, name: str, load_factor: float) -> str:
    """Run the weeks of all seeds; return the cell of the table."""
    weeks = [_run(household, name, int(seed), load_factor) for seed in arguments.seeds.split(",")]
    if arguments.kinds:
        print(f"{household.name}, {load_factor:g} of the cold time, {name}: {_kinds(weeks)}", file=sys.stderr)
    return _figures(weeks)


def _run(household: Household, name: str, seed: int, load_factor: float) -> Waits:
    simulation = Simulation(household, seed, load_factor)
    return simulation.run(CONTESTANTS[name](simulation))


def _figures(weeks: Sequence[Waits]) -> str:
    """The hours of waiting, the 95th percentile, the longest wait in seconds, the loads; and refusals, if any."""
    waits = [week.all() for week in weeks]
    refusals = mean(week.refusals for week in weeks)
    return (
        f"{mean(sum(each) for each in waits) / 3600:,.1f} h · "
        f"{mean(each[int(len(each) * 0.95)] for each in waits):,.0f} · "
        f"{max(each[-1] for each in waits):,.0f} s · "
        f"{mean(week.loads for week in weeks):,.0f}"
    ) + (f" · {refusals:.1f} refused" if refusals else "")


def _kinds(weeks: Sequence[Waits]) -> str:
    """The mean wait in seconds of each kind of session."""
    kinds = sorted({kind for week in weeks for kind in week.by_kind})
    return ", ".join(f"{kind} {mean(mean(week.by_kind[kind]) for week in weeks):.1f}" for kind in kinds)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.week", description="Compare scheduling rules over a simulated week."
    )
    choices = {
        "household": [household.name for household in HOUSEHOLDS],
        "rules": list(CONTESTANTS),
        "loads": list(LOADS),
        "seeds": ["1", "2", "3"],
    }
    for name, default in choices.items():
        described = f"comma-separated; default: {','.join(default)}"
        parser.add_argument(f"--{name}", metavar="NAMES", default=",".join(default), help=described)
    parser.add_argument(
        "--kinds", action="store_true", help="also print the mean wait of each kind of session"
    )
    parser.add_argument("--write", action="store_true", help="write the tables into docs/performance.md")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

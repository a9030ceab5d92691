"""Measures starts in turns and prints the tables. `python -m benchmarks.starts --help`."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.starts.daemon import MODELS, TINY, BenchmarkModel, running_daemon
from benchmarks.starts.measures import Figures, measure_round
from benchmarks.starts.tables import render
from benchmarks.starts.timeline import record_swap
from tests.models import cpu_folder

RECORD = Path(__file__).parent.parent.parent / "docs" / "performance.md"
FIGURES_MARKS = ("<!-- starts -->", "<!-- end of starts -->")
TIMELINE_MARKS = ("<!-- swap -->", "<!-- end of swap -->")


def main() -> int:
    """Run the benchmark; return the exit status."""
    arguments = _parse_arguments()
    cpu_folder()  # fails with an explanation if it is not built
    names = arguments.models.split(",")
    models = [model for model in MODELS if model.name in names]
    with tempfile.TemporaryDirectory(prefix="sparkd-starts-") as folder:
        if arguments.timeline:
            _measure_timeline(Path(folder), write=arguments.write)
        else:
            _measure_starts(Path(folder), models, arguments.rounds, write=arguments.write)
    return 0


def _measure_starts(folder: Path, models: Sequence[BenchmarkModel], rounds: int, *, write: bool) -> None:
    first = _measure_first_starts(folder, models)
    figures = Figures()
    with running_daemon(folder) as daemon:
        after_restart = daemon.ask(TINY.name).until_first
        launcher = daemon.wait_for_launcher()
        daemon.stop_all()
        for turn in range(rounds):
            _report(f"round {turn + 1}/{rounds}")
            measure_round(daemon, models, figures, turn)
    cores, load = len(os.sched_getaffinity(0)), os.getloadavg()[0]
    conditions = f"{cores} cores, medians of {rounds} interleaved rounds; load average at the end {load:.1f}."
    first_starts = (
        f"The launcher needs {launcher:.1f} s to start. The first start after that of sparkd includes it: "
        f"{after_restart:.1f} s until the first token of {TINY.title}. With empty caches, as on a new machine, "
        f"it takes {first:.1f} s."
    )
    _publish("\n\n".join((conditions, render(figures), first_starts)), FIGURES_MARKS, write=write)


def _measure_first_starts(folder: Path, models: Sequence[BenchmarkModel]) -> float:
    """Fill the caches of engines with one start of each model; return the first one's seconds to the first token."""
    with running_daemon(folder) as daemon:
        _report("first starts")
        seconds = daemon.ask(TINY.name).until_first
        for model in models:
            daemon.ask(model.name)
    return seconds


def _measure_timeline(folder: Path, *, write: bool) -> None:
    with running_daemon(folder) as daemon:
        daemon.ask(TINY.name)  # starts the launcher and fills the caches
        daemon.stop_all()
        text = f"```text\n{record_swap(daemon)}\n```"
    _publish(text, TIMELINE_MARKS, write=write)


def _publish(text: str, marks: tuple[str, str], *, write: bool) -> None:
    """Print the result. With `write`, put it into docs/performance.md as well."""
    print(text)
    if write:
        before, _, rest = RECORD.read_text().partition(marks[0])
        RECORD.write_text(f"{before}{marks[0]}\n\n{text}\n\n{marks[1]}{rest.partition(marks[1])[2]}")


def _report(text: str) -> None:
    print(text, file=sys.stderr)


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="benchmarks/starts/run",
        description="Compare cold and warm starts of real engines (vLLM for CPUs, two or three small models).",
        epilog="A round takes some minutes. `python -m tests.models` builds the runtime and the models.",
    )
    names = ",".join(model.name for model in MODELS)
    parser.add_argument("--rounds", type=int, default=3, help="rounds whose medians are printed (default 3)")
    parser.add_argument("--models", metavar="NAMES", default=names, help=f"comma-separated (default {names})")
    parser.add_argument("--timeline", action="store_true", help="record one swap instead, as a timeline")
    parser.add_argument("--write", action="store_true", help="write the result into docs/performance.md")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

"""What open pages cost an idle daemon, with a large catalogue: `python -m benchmarks.page`.

Prints the share of a core that sparkd uses, without a page and with some, and how long the first event takes.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import httpx
import psutil

from tests.e2e.sparkd_process import SparkdProcess, engine

PAGES: Final = (0, 1, 10, 100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=10_000, help="models of the catalogue")
    parser.add_argument("--seconds", type=float, default=20.0, help="seconds to measure for each row")
    arguments = parser.parse_args()
    models = {f"model-{number:05}": engine() for number in range(arguments.models)}
    with tempfile.TemporaryDirectory(prefix="sparkd-bench-") as folder:
        sparkd = SparkdProcess(Path(folder), {"models": models})
        sparkd.start()
        try:
            for number in range(3):  # an idle machine still has some models in memory
                sparkd.chat(f"model-{number:05}")
            print(f"{arguments.models} models, 3 of them loaded, no requests")
            print(f"{'pages':>6}  {'of a core':>10}  {'first event':>12}")
            for pages in PAGES:
                measure(sparkd, pages, arguments.seconds)
        finally:
            sparkd.stop()


def measure(sparkd: SparkdProcess, pages: int, seconds: float) -> None:
    """Print one row."""
    process = psutil.Process(sparkd.process.pid)
    with ExitStack() as stack:
        took = [open_page(sparkd, stack) for _ in range(pages)]
        time.sleep(1.0)
        before = sum(process.cpu_times()[:2])
        time.sleep(seconds)
        used = sum(process.cpu_times()[:2]) - before
    first = f"{1000 * max(took):.0f} ms" if took else ""
    print(f"{pages:>6}  {used / seconds:>10.2%}  {first:>12}", flush=True)


def open_page(sparkd: SparkdProcess, stack: ExitStack) -> float:
    """Open an event stream that nobody reads any further; return the seconds until its first event."""
    client = stack.enter_context(httpx.Client(timeout=60))
    began = time.monotonic()
    answer = stack.enter_context(client.stream("GET", f"{sparkd.url}/ui/api/events"))
    next(answer.iter_raw())
    return time.monotonic() - began


if __name__ == "__main__":
    main()

"""What the control API costs at scale: `python -m benchmarks.at_scale`.

Builds a catalogue of 10,000 models and a full record of requests, state changes and minutes, starts sparkd, and prints
the CPU time of each GET route, of the first response and of later ones: of the event loop, and of all threads. CPU
time, because other programs share the machine. `stall` is how long another client had to wait meanwhile, without the
time in which the daemon had no core.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Final

import httpx
import tomli_w

from benchmarks.scale_state import fill_usage
from tests.e2e.sparkd_process import SparkdProcess, engine

MONTH: Final = 31 * 86400
ROUTES: Final = (
    "models",
    "models/model-00017",
    "models/model-00017/options",
    "models/model-00017/plan",
    "models/model-00017/files",
    "models/model-00017/loads",
    "status",
    "files",
    "events",
    "requests",
    "requests?sort=tokens_out&limit=100",
    "requests?sort=seconds&order=asc",
    "requests?text=req-09",
    "requests?text=nothing-has-this",
    "requests?model=model-00017&status=error",
    "requests?program=Zed",
    "usage?by=day&group=model",
    "usage?by=month&group=model,client,program",
    "history",
    "history?from={month}",
    "history/summary?from={month}",
    "history/model-00017?from={month}",
    "measurements?span=900",
    "measurements?span=86400",
    "measurements?span=2678400",
    "measurements/days",
    "catalogue",
    "catalogue/starts",
    "catalogue/schema",
    "catalogue/models.d/own.toml",
    "clients",
    "doctor",
    "requests/active",
    "captures",
    "log?lines=200",
    "holds",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=10_000)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--only", default="", help="routes with this text")
    parser.add_argument(
        "--no-edits", action="store_true", help="leave out the check and the write of a drop-in"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sparkd-scale-") as folder:
        sparkd = build_daemon(Path(folder), arguments.models, arguments.requests)
        sparkd.start()
        try:
            bench = Bench(sparkd)
            print(
                f"{'GET':<46} {'first: loop':>12} {'all':>6}  {'later: loop':>12} {'all':>6}  "
                f"{'stall':>6}  ms, {'KiB':>6}"
            )
            for route in ROUTES:
                if arguments.only in route:
                    bench.measure_route(route)
            if not arguments.no_edits:
                bench.measure_edits()
        finally:
            sparkd.stop()


def build_daemon(folder: Path, models: int, requests: int) -> SparkdProcess:
    """A daemon that has not started, with its catalogue and its records."""
    ids = [f"model-{number:05}" for number in range(models)]
    sparkd = SparkdProcess(folder, {"models": {}})
    half = len(ids) // 2
    text = tomli_w.dumps({"models": {id_: engine(context_length=32768) for id_ in ids[:half]}})
    sparkd.catalogue.write_text(sparkd.catalogue.read_text() + text)
    drop_ins = folder / "models.d"
    drop_ins.mkdir()
    for begin in range(half, len(ids), 500):
        models_of_file = {id_: engine(tags=["chat"]) for id_ in ids[begin : begin + 500]}
        (drop_ins / f"{begin}.toml").write_text(tomli_w.dumps({"models": models_of_file}))
    (drop_ins / "own.toml").write_text(OWN)
    state = folder / "state"
    state.mkdir(exist_ok=True)
    fill_usage(state / "usage.sqlite", ids, requests)
    return sparkd


OWN: Final = "[changes.model-00001]\nidle_timeout = 100\n"


class Threads:
    """CPU seconds of a process: of its first thread, which has the event loop, and of all."""

    def __init__(self, pid: int) -> None:
        self._pid = pid

    def read(self) -> tuple[float, float]:
        """The seconds so far. A thread that has ended is not counted: those of a pool stay."""
        tasks = {}
        for task in Path(f"/proc/{self._pid}/task").iterdir():
            try:
                tasks[task.name] = int((task / "schedstat").read_text().split()[0]) / 1e9
            except OSError:
                continue
        return tasks[str(self._pid)], sum(tasks.values())

    def read_waits(self) -> float:
        """The seconds that its threads waited for a core."""
        return sum(read_wait(task / "schedstat") for task in Path(f"/proc/{self._pid}/task").iterdir())


class Bench:
    """Measures one daemon."""

    def __init__(self, sparkd: SparkdProcess) -> None:
        self._threads = Threads(sparkd.process.pid)
        self._sparkd = sparkd
        transport = httpx.HTTPTransport(uds=str(sparkd.folder / "run" / "control.sock"))
        self._client = httpx.Client(transport=transport, base_url="http://localhost/ui/api/", timeout=120)
        self._month = f"{time.time() - MONTH:.0f}"

    def measure_route(self, route: str) -> None:
        """Print one row."""
        path = route.replace("{month}", self._month)
        costs = [self._measure(lambda: self._get(path)) for _ in range(6)]
        with watch_stalls(self._sparkd) as stalls:
            for _ in range(3):
                self._get(path)
        first, later = costs[0], costs[1:]
        loop, total = median(cost[0] for cost in later), median(cost[1] for cost in later)
        print(
            f"{route[:46]:<46} {first[0]:>12.1f} {first[1]:>6.0f}  {loop:>12.1f} {total:>6.0f}  "
            f"{max(stalls):>6.0f}      {first[2] / 1024:>6.0f}",
            flush=True,
        )

    def measure_edits(self) -> None:
        """Print a row each for checks of a drop-in, its write, an undo, and a reload."""
        text, file = "[changes.model-00002]\nidle_timeout = 200\n", "models.d/own.toml"
        digest = self._client.get(f"catalogue/{file}").json()["digest"]
        for method, path, body in (
            ("POST", "catalogue/check", {"file": file, "text": text}),
            ("POST", "catalogue/check", {"file": file, "text": text + "# again"}),
            ("POST", "catalogue/check", {"file": file, "text": text + "wrong = 1"}),
            ("PUT", f"catalogue/{file}", {"text": text, "digest": digest}),
            ("POST", "catalogue/undo", {}),
            ("POST", "reload", {}),
        ):
            with watch_stalls(self._sparkd, 0.05) as stalls:
                loop, total, size = self._measure(lambda: self._send(method, path, body))  # noqa: B023
            row = f"{method + ' ' + path:<46} {loop:>12.1f} {total:>6.0f}  {'':>12} {'':>6}  {max(stalls):>6.0f}"
            print(f"{row}      {size / 1024:>6.0f}", flush=True)

    def _send(self, method: str, path: str, body: object) -> int:
        answer = self._client.request(method, path, json=body, headers={"x-sparkd-page": "1"})
        assert answer.is_success, answer.text
        return len(answer.content)

    def _measure(self, work: Callable[[], int]) -> tuple[float, float, int]:
        """Milliseconds of the loop and of all threads, and the bytes of the response."""
        before = self._threads.read()
        size = work()
        after = self._threads.read()
        return 1e3 * (after[0] - before[0]), 1e3 * (after[1] - before[1]), size

    def _get(self, path: str) -> int:
        with self._client.stream("GET", path, headers={"accept-encoding": "gzip"}) as answer:
            assert answer.status_code == 200, (path, answer.read())
            if path == "events":
                return len(next(answer.iter_raw()))
            return sum(len(part) for part in answer.iter_raw())


@contextmanager
def watch_stalls(sparkd: SparkdProcess, pause: float = 0.002) -> Iterator[list[float]]:
    """Ask for something cheap every `pause` seconds; the list gets the milliseconds of each response, without the time
    in which a thread of the daemon or this one waited for a core.
    """
    took, done = [0.0], threading.Event()
    threads = Threads(sparkd.process.pid)

    def watch() -> None:
        own = Path(f"/proc/self/task/{threading.get_native_id()}/schedstat")
        with httpx.Client(base_url=sparkd.url, timeout=120) as client:
            client.get("/health")
            while not done.wait(pause):
                waited = threads.read_waits() + read_wait(own)
                began = time.monotonic()
                client.get("/health")
                seconds = time.monotonic() - began
                took.append(max(0.0, 1e3 * (seconds - (threads.read_waits() + read_wait(own) - waited))))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield took
    finally:
        done.set()
        thread.join()


def read_wait(file: Path) -> float:
    """Seconds that a thread was ready and waited for a core. 0 if it has ended."""
    try:
        return int(file.read_text().split()[1]) / 1e9
    except OSError:
        return 0.0


if __name__ == "__main__":
    main()

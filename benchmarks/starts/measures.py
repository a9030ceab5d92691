"""What is measured: starts of one model, and swaps between two. Each function returns figures by row and kind."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from benchmarks.starts.daemon import COLD, SMOLLM, TINY, Answer, BenchmarkModel, Daemon
from benchmarks.starts.memory import measure_engine, measure_launcher

Kind = Literal["cold", "warm"]
KINDS: tuple[Kind, Kind] = ("cold", "warm")

RIVAL, NEXT = SMOLLM, TINY
"""The models of a swap: the one that leaves, and the one that comes."""

RIVAL_TOKENS = 30
"""Tokens of the rival's long answer, which takes some seconds."""

LAUNCHER = "launcher, while no engine runs"


@dataclass
class Figures:
    """All figures, each with the value of every round: seconds to the first token, bytes, seconds of each phase."""

    seconds: dict[tuple[str, Kind], list[float]] = field(default_factory=dict)
    memory: dict[tuple[str, Kind], list[float]] = field(default_factory=dict)
    phases: dict[tuple[str, Kind], list[dict[str, float]]] = field(default_factory=dict)

    def add_start(
        self, title: str, kind: Kind, seconds: float, memory: float, phases: dict[str, float]
    ) -> None:
        """Add one start of a model."""
        self.seconds.setdefault((title, kind), []).append(seconds)
        self.memory.setdefault((title, kind), []).append(memory)
        self.phases.setdefault((title, kind), []).append(phases)

    def add_swap(self, row: str, kind: Kind, seconds: float) -> None:
        """Add one swap."""
        self.seconds.setdefault((row, kind), []).append(seconds)

    def add_launcher(self, memory: float) -> None:
        """Add one measurement of the launcher's memory."""
        self.memory.setdefault((LAUNCHER, "warm"), []).append(memory)


def measure_round(daemon: Daemon, models: Sequence[BenchmarkModel], figures: Figures, turn: int) -> None:
    """Measure everything once. Cold and warm alternate: neighbours in time are compared."""
    order = KINDS if turn % 2 else KINDS[::-1]
    for model in models:
        for kind in order:
            measure_start(daemon, model, kind, figures)
    for kind in order:
        seconds = measure_idle_swap(daemon, kind)
        figures.add_swap("swap, while the other model is idle", kind, seconds)
    for kind in order:
        seconds = measure_busy_swap(daemon, kind)
        figures.add_swap("swap, after the end of the other model's answer", kind, seconds)


def measure_start(daemon: Daemon, model: BenchmarkModel, kind: Kind, figures: Figures) -> None:
    """Measure one start of a model while no other is loaded."""
    name = _name(model, kind)
    for launcher in daemon.control.status().launchers:
        if launcher.pid is not None:
            figures.add_launcher(measure_launcher(launcher.pid))
    seconds = daemon.ask(name).until_first
    daemon.check_start(name)
    pid = daemon.control.model(name).pid
    assert pid is not None
    memory = measure_engine(pid)
    daemon.stop(name)
    last_run = daemon.control.model(name).last_run
    assert last_run is not None
    figures.add_start(model.title, kind, seconds, memory, last_run.phases)


def measure_idle_swap(daemon: Daemon, kind: Kind) -> float:
    """Return the seconds from a request to its first token, if another model must leave that is idle."""
    daemon.ask(RIVAL.name)
    return _ask_next(daemon, kind).until_first


def measure_busy_swap(daemon: Daemon, kind: Kind) -> float:
    """Return the seconds from the end of a long answer to another model's first token, which a request has awaited."""
    daemon.ask(RIVAL.name)
    with busy_rival(daemon) as answers:
        first = _ask_next(daemon, kind).first
    return first - answers[0].ended


def _ask_next(daemon: Daemon, kind: Kind) -> Answer:
    name = _name(NEXT, kind)
    answer = daemon.ask(name)
    daemon.check_start(name)
    daemon.stop(name)
    return answer


@contextmanager
def busy_rival(daemon: Daemon) -> Iterator[list[Answer]]:
    """Have the rival, which is loaded, give a long answer meanwhile. The list has it at the end of the block."""
    # A busy model stays for as long as its load took. After that it leaves as soon as its answer ends.
    while (status := daemon.control.model(RIVAL.name)).state_seconds < (status.load_time or 0):
        time.sleep(0.01)
    answers: list[Answer] = []
    thread = threading.Thread(target=lambda: answers.append(daemon.ask(RIVAL.name, RIVAL_TOKENS)))
    thread.start()
    while not daemon.control.model(RIVAL.name).in_flight:
        time.sleep(0.01)
    try:
        yield answers
    finally:
        thread.join()


def _name(model: BenchmarkModel, kind: Kind) -> str:
    return model.name + COLD if kind == "cold" else model.name

"""A sampler whose clocks, instruments and store are in the test's hands."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path

from sparkd.usage.columns import Aggregate
from sparkd.usage.measurement_queries import DayOfMeasurements, read_aggregates, read_days
from sparkd.usage.recent import VALUES, Clock
from sparkd.usage.records import Measurement
from sparkd.usage.sampler import Sampler
from sparkd.usage.token_rates import STEP, RunningRequest


class MinuteTable:
    """Minutes in SQLite, as in the daemon's database, written at once."""

    def __init__(self) -> None:
        self.database = sqlite3.connect(":memory:", check_same_thread=False)
        fields = ", ".join(f"{name} REAL" for name in VALUES)
        self.database.execute(f"CREATE TABLE measurements (at REAL PRIMARY KEY, {fields})")

    def add_measurements(self, measurements: Sequence[Measurement]) -> None:
        places = ", ".join("?" * (len(VALUES) + 1))
        self.database.executemany(
            f"INSERT OR REPLACE INTO measurements VALUES ({places})",
            [(each.at, *(getattr(each, name) for name in VALUES)) for each in measurements],
        )

    def measurement_aggregates(self, *, since: float, until: float, step: int) -> list[Aggregate]:
        return read_aggregates(self.database, since=since, until=until, step=step)

    def measurement_days(self, *, since: float, until: float) -> list[DayOfMeasurements]:
        return read_days(self.database, since=since, until=until)

    def column(self, name: str) -> dict[float, float | None]:
        return dict(self.database.execute(f"SELECT at, {name} FROM measurements ORDER BY at"))


class Machine:
    """Instruments that show what the test sets."""

    def __init__(self) -> None:
        self.shown = Measurement(at=0.0, available=8e9)
        self.requests: list[RunningRequest] = []

    def measure(self) -> Measurement:
        return self.shown

    def running(self) -> Iterable[RunningRequest]:
        return self.requests


class Laboratory:
    """A sampler. `pass_time` moves the clocks and measures."""

    def __init__(self, folder: Path, *, steady: float = 50_000.0, epoch: float = 1_790_000_000.0) -> None:
        self.file = folder / "recent"
        self.clock = Clock(steady, epoch)
        self.machine = Machine()
        self.store = MinuteTable()
        self.sampler = self.restart("boot")

    def restart(self, boot: str) -> Sampler:
        self.sampler = Sampler(self.machine, self.store, self.file, boot, clock=lambda: self.clock)
        return self.sampler

    def sleep(self, seconds: float) -> None:
        """The time passes for the machine, but nothing is measured."""
        self.clock = Clock(self.clock.steady + seconds, self.clock.epoch + seconds)

    def set_clock(self, seconds: float) -> None:
        """Set the time of day forward."""
        self.clock = Clock(self.clock.steady, self.clock.epoch + seconds)

    def pass_time(self, seconds: float) -> None:
        for _ in range(round(seconds / STEP)):
            self.sleep(STEP)
            self.sampler.take()

"""Measures the machine every 5 seconds, and keeps the means of each minute.

The last 20 minutes are in memory, and in a file while sparkd is replaced or restarted. Minutes are in the database.
What was not measured stays a gap: while sparkd did not run, and while the machine slept.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import Final, Protocol

import msgspec
from msgspec import Struct

from sparkd.usage.recent import KEPT, MINUTE, Clock, Recent
from sparkd.usage.records import Measurement, RequestRecord
from sparkd.usage.token_rates import STEP, RunningRequest

logger = logging.getLogger(__name__)

LATE: Final = STEP / 2
"""Seconds after the end of an interval in which it can still be measured. Later, it is a gap."""


class MeasurementStore(Protocol):
    """Keeps measurements. A measurement of the same point in time replaces the earlier one."""

    def add_measurements(self, measurements: Sequence[Measurement]) -> None:
        """Keep them. Returns at once; they are written by a thread."""
        ...


class Instruments(Protocol):
    """What the sampler reads. Neither method may wait for a device or read much."""

    def measure(self) -> Measurement:
        """The machine now, without rates."""
        ...

    def running(self) -> Iterable[RunningRequest]:
        """Requests that an engine responds to now."""
        ...


class _File(Struct, frozen=True):
    """What is kept while sparkd does not run. Interval numbers are valid for one boot of the machine."""

    boot: str
    recent: bytes


def read_clock() -> Clock:
    """The clocks now."""
    return Clock(time.clock_gettime(time.CLOCK_BOOTTIME), time.time())


class Sampler:
    """Takes measurements for as long as sparkd runs. `recent` has those of the last 20 minutes."""

    def __init__(
        self,
        instruments: Instruments,
        store: MeasurementStore,
        file: Path,
        boot: str,
        *,
        clock: Callable[[], Clock] = read_clock,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`file` keeps the recent measurements while sparkd does not run, for the boot with this id."""
        self.recent = Recent()
        self._instruments = instruments
        self._store = store
        self._file = file
        self._boot = boot
        self._clock = clock
        self._sleep = sleep
        self._minute: float | None = None
        self._changed_from: float | None = None
        self._restore()

    def now(self) -> Clock:
        """The clocks now."""
        return self._clock()

    async def run(self) -> None:
        """Measure until cancelled."""
        while True:
            now = self._clock().steady
            await self._sleep(STEP - now % STEP)
            self.take()

    def take(self) -> None:
        """Measure the interval that has just ended, and keep the minute if it has ended with it."""
        clock = self._clock()
        number = int(clock.steady // STEP)
        self.recent.rates.observe(self._instruments.running(), clock.steady)
        if clock.steady - number * STEP <= LATE:
            self.recent.add(number, self._instruments.measure())
        self._keep_minutes(clock)

    def on_finished(self, records: Sequence[RequestRecord]) -> None:
        """Count the tokens of requests that have ended, in the intervals in which they were generated."""
        clock = self._clock()
        for record in records:
            # The time of day may have been set since the request ended.
            age = min(max(0.0, clock.epoch - record.ended), STEP)
            first = self.recent.rates.finish(record, clock.steady - age)
            began = clock.epoch_of(first)
            self._changed_from = began if self._changed_from is None else min(began, self._changed_from)

    def close(self) -> None:
        """Keep what is not kept yet. Takes a millisecond."""
        clock = self._clock()
        end = _end_of_minute(clock.epoch)
        if measured := self.recent.minute(end, clock):
            self._store.add_measurements([measured])
        try:
            self._file.write_bytes(msgspec.msgpack.encode(_File(self._boot, self.recent.save(clock))))
        except OSError as error:
            logger.warning(
                "Cannot write %s: %s. The charts will have a gap.", self._file, error.strerror or error
            )

    def _keep_minutes(self, clock: Clock) -> None:
        """Keep the minutes that have ended, and again those that have changed."""
        minute = _end_of_minute(clock.epoch) - MINUTE
        before, self._minute = self._minute, minute
        if before == minute:
            return
        first = minute if before is None or minute < before else before + MINUTE
        if self._changed_from is not None:
            first = min(first, _end_of_minute(self._changed_from))
            self._changed_from = None
        # The first minute in memory is not whole.
        first = max(first, _end_of_minute(clock.epoch - KEPT + STEP) + MINUTE)
        ends = (first + index * MINUTE for index in range(round((minute - first) / MINUTE) + 1))
        found = [measured for end in ends if (measured := self.recent.minute(end, clock))]
        if found:
            self._store.add_measurements(found)

    def _restore(self) -> None:
        try:
            file = msgspec.msgpack.decode(self._file.read_bytes(), type=_File)
            self._file.unlink()  # it is valid only once
            if file.boot == self._boot:
                self.recent.restore(file.recent)
                self.recent.forget_before(int((self._clock().steady - KEPT) // STEP))
        except FileNotFoundError:
            pass
        except (OSError, msgspec.MsgspecError) as error:
            logger.info("Cannot read %s: %s. The charts have a gap.", self._file, error)


def _end_of_minute(epoch: float) -> float:
    """The end of the minute that a point in time belongs to."""
    return -(-epoch // MINUTE) * MINUTE

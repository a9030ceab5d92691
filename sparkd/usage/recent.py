"""The last minutes of measurements, one every 5 seconds, in memory.

Intervals are numbered by a clock that only moves forward and counts the time that the machine sleeps
(CLOCK_BOOTTIME). Their points in time are computed from it and the present time of day, so a clock that is set back
or forward moves all of them: it neither stretches the time nor makes two intervals one. An interval without a
measurement stays a gap.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec
from msgspec import Struct, structs

from sparkd.usage.records import Measurement
from sparkd.usage.token_rates import STEP, TokenRates

KEPT: Final = 20 * 60
"""Seconds that are kept."""

INTERVALS: Final = KEPT // int(STEP)
MINUTE: Final = 60.0

VALUES: Final = tuple(name for name in Measurement.__struct_fields__ if name != "at")
"""The measured fields."""

MAXIMA: Final = frozenset({"peak_out"})
"""Fields that are the maximum over a longer interval. The others are the mean."""


class Kept(Struct, frozen=True):
    """An interval that was measured: its number, and the measurement with its rates at the time it was saved."""

    number: int
    measured: Measurement


class Clock(Struct, frozen=True):
    """One moment on two clocks: `steady` counts the time since the machine was started, `epoch` is the time of day."""

    steady: float
    epoch: float

    def epoch_of(self, number: int) -> float:
        """The time of day at the end of an interval."""
        return self.epoch + number * STEP - self.steady


class Recent:
    """Measurements of the last 20 minutes. `rates` are the tokens in each interval."""

    def __init__(self) -> None:
        self.rates = TokenRates()
        self._measured: dict[int, Measurement] = {}
        self._restored: dict[int, Measurement] = {}

    def add(self, number: int, measured: Measurement) -> None:
        """Keep the measurement of an interval that has ended. Its rates are read from `rates`."""
        self._measured[number] = measured
        self.forget_before(number - INTERVALS + 1)

    def forget_before(self, number: int) -> None:
        """Forget what is older than this interval."""
        for kept in (self._measured, self._restored):
            for old in [each for each in kept if each < number]:
                del kept[old]
        self.rates.forget_before(number)

    def at(self, number: int, clock: Clock) -> Measurement | None:
        """The measurement of an interval, None if there is none."""
        measured = self._measured.get(number)
        if measured is None:
            restored = self._restored.get(number)
            return restored and structs.replace(restored, at=clock.epoch_of(number))
        rate_out = self.rates.tokens_out(number)
        return structs.replace(
            measured,
            at=clock.epoch_of(number),
            tokens_in=self.rates.tokens_in(number),
            tokens_out=rate_out,
            peak_out=rate_out,
        )

    def minute(self, end: float, clock: Clock) -> Measurement | None:
        """The means over the minute that ends at a time of day. None if nothing was measured in it."""
        last = int((clock.steady + end - clock.epoch) // STEP)
        numbers = range(last - int(MINUTE / STEP) + 1, last + 1)
        found = [measured for number in numbers if (measured := self.at(number, clock))]
        return merge(found, end) if found else None

    def save(self, clock: Clock) -> bytes:
        """Everything as bytes, for `restore`."""
        return msgspec.msgpack.encode(list(self._all(clock)))

    def restore(self, data: bytes) -> None:
        """Take over what another program has saved since the machine was started. Raises MsgspecError."""
        self._restored = {
            kept.number: kept.measured for kept in msgspec.msgpack.decode(data, type=list[Kept])
        }

    def _all(self, clock: Clock) -> Iterator[Kept]:
        for number in sorted(self._measured.keys() | self._restored.keys()):
            if measured := self.at(number, clock):
                yield Kept(number, measured)


def merge(measured: Sequence[Measurement], at: float) -> Measurement:
    """One measurement for several: the mean of each field, without those that do not know it."""
    values: dict[str, float] = {}
    for name in VALUES:
        known = [value for each in measured if (value := getattr(each, name)) is not None]
        if known:
            values[name] = max(known) if name in MAXIMA else sum(known) / len(known)
    return Measurement(at=at, **values)

"""Times of day at which a model is loaded: "07:00", "Mon-Fri 18:30", "Sat,Sun 9:00". Always local time."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable
from typing import Final

from msgspec import Struct

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

LONGEST_GAP: Final = datetime.timedelta(days=8)
"""How far back a time is looked for: longer than any of them takes to come again."""

_entry = re.compile(r"(?:(?P<days>[a-z,\- ]+) )?(?P<hour>\d{1,2}):(?P<minute>\d{2})", re.IGNORECASE)


class TimeOfDay(Struct, frozen=True):
    """A time on some days of the week; Monday is 0."""

    days: frozenset[int]
    time: datetime.time

    def comes_between(self, after: datetime.datetime, until: datetime.datetime) -> bool:
        """Whether it comes after the one moment and not after the other; both have a time zone.

        A time that a change of the clock skips comes an hour earlier. One that comes twice counts the first time.
        """
        date = max(after, until - LONGEST_GAP).astimezone().date()
        last = until.astimezone().date()
        while date <= last:
            # From a time without a zone: in local time, with the offset of that day.
            at = datetime.datetime.combine(date, self.time).astimezone()
            if date.weekday() in self.days and after < at <= until:
                return True
            date += datetime.timedelta(days=1)
        return False


def parse_time_of_day(text: str) -> TimeOfDay:
    """Read a time. Raises ValueError."""
    found = _entry.fullmatch(text.strip())
    if found is None:
        raise ValueError(text)
    time = datetime.time(int(found["hour"]), int(found["minute"]))
    return TimeOfDay(frozenset(_parse_days(found["days"])) if found["days"] else frozenset(range(7)), time)


def _parse_days(text: str) -> Iterable[int]:
    for part in text.split(","):
        first, dash, last = (name.strip().lower() for name in part.partition("-"))
        begin = DAYS.index(first)
        if not dash:
            yield begin
            continue
        count = (DAYS.index(last) - begin) % 7
        yield from ((begin + number) % 7 for number in range(count + 1))

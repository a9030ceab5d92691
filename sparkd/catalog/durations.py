"""Durations in requests and on the command line: a number of seconds, or a text such as Go's "1h30m"."""

from __future__ import annotations

import datetime
import math
import re
from typing import Final

from sparkd.catalog.quantities import LONGEST_DURATION
from sparkd.errors import InvalidRequest

_UNITS: Final = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ns": 1e-9}
_part = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(h|ms|m|s|us|µs|μs|ns)")
_number = re.compile(r"[0-9]+(?:\.[0-9]*)?")
_clock = re.compile(r"[0-9]{1,2}:[0-9]{2}")
_LONGEST: Final = 64


def keep_alive_seconds(value: object, field: str = "keep_alive") -> float | None:
    """Seconds that a model is to stay loaded while it is idle: `math.inf` for any negative value and for more than 31
    years, 0 to unload it.

    None if the request does not say: the catalogue's `idle_timeout` then counts. `field` is where the value comes from.
    Raises InvalidRequest.
    """
    if value is None or value == "":
        return None
    seconds = duration_seconds(value)
    if seconds is None:
        raise InvalidRequest(
            f"`{field}` is not a duration. Send a number of seconds or a text such as "
            '"5m", "1h30m", "0" or "-1".',
            param=field,
        )
    return math.inf if seconds < 0 or seconds > LONGEST_DURATION else seconds


def duration_seconds(value: object) -> float | None:
    """The seconds of a number or of a text such as "1h30m"; None if it is neither. Negative values are allowed."""
    if isinstance(value, str):
        return _parse(value.strip())
    if isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value):
        return float(value)
    return None


def seconds_until(text: str, now: datetime.datetime) -> float | None:
    """The seconds from `now` to a time: "18:00" for the next time when it is 18:00 here, or a date and time of ISO 8601
    such as "2026-12-24T18:00:00+01:00", in local time without an offset. None if it is neither."""
    text = text.strip()
    try:
        if _clock.fullmatch(text):
            time = datetime.time.fromisoformat(text.zfill(5))
            date = now.astimezone().date()
            at = datetime.datetime.combine(date, time).astimezone()
            if at <= now:
                at = datetime.datetime.combine(date + datetime.timedelta(days=1), time).astimezone()
        else:
            at = datetime.datetime.fromisoformat(text).astimezone()
        return (at - now).total_seconds()
    except (ValueError, OverflowError):
        return None


def _parse(text: str) -> float | None:
    """The seconds of a text, None if it is not a duration."""
    sign = -1.0 if text.startswith("-") else 1.0
    text = text.lstrip("+-")
    if not text or len(text) > _LONGEST:
        return None
    if _number.fullmatch(text):
        return sign * float(text)
    seconds, end = 0.0, 0
    for part in _part.finditer(text):
        if part.start() != end:
            return None
        seconds, end = seconds + float(part[1]) * _UNITS[part[2]], part.end()
    return sign * seconds if end == len(text) else None

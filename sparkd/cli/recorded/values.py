"""Values of records as they are shown on a terminal. What is not known is a dash."""

from __future__ import annotations

import datetime
import time
from typing import Final

from sparkd.cli.output.formatting import format_short_duration

UNKNOWN: Final = "-"


def format_moment(at: float) -> str:
    """A time in seconds since the epoch as local time; with the date unless it is today."""
    moment = datetime.datetime.fromtimestamp(at)
    is_today = moment.date() == datetime.datetime.fromtimestamp(time.time()).date()
    return moment.strftime("%H:%M:%S" if is_today else "%Y-%m-%d %H:%M:%S")


def format_number(value: float | None) -> str:
    """A count with separators: "12,345"."""
    return UNKNOWN if value is None else f"{value:,.0f}"


def format_seconds(value: float | None) -> str:
    """A duration that may be short: "0.35s", "12s", "3m 12s"."""
    if value is None:
        return UNKNOWN
    return f"{value:.2f}s" if value < 9.95 else format_short_duration(value)


def format_speed(value: float | None) -> str:
    """Tokens per second."""
    return UNKNOWN if value is None else f"{value:.1f}" if value < 99.5 else f"{value:.0f}"

"""Reads the values of options on the command line."""

from __future__ import annotations

import argparse
import datetime

from sparkd.catalog.durations import duration_seconds, seconds_until
from sparkd.catalog.quantities import LARGEST_SIZE
from sparkd.catalog.sizes import likely_size, parse_size


def parse_seconds(text: str) -> float:
    """Between a tenth of a second and a day. Raises ArgumentTypeError."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.1 <= seconds <= 86400:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds between 0.1 and 86400")
    return seconds


def parse_port(text: str) -> int:
    """A port that a server can listen on. Raises ArgumentTypeError."""
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
        raise argparse.ArgumentTypeError(f"{text!r} is not a port between 1 and 65535")
    return int(text)


def parse_tokens(text: str) -> int:
    """A positive number of tokens. Raises ArgumentTypeError."""
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and 0 < int(text) < 2**31):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of tokens")
    return int(text)


def parse_size_argument(text: str) -> int:
    """A size in bytes, such as "20 GiB". Raises ArgumentTypeError."""
    try:
        size = parse_size(text)
    except ValueError:
        size = 0
    if not 0 < size <= LARGEST_SIZE:
        meant = likely_size(text)
        hint = f"; did you mean {meant!r}?" if meant else ""
        raise argparse.ArgumentTypeError(f"{text!r} is not a size such as '20 GiB'{hint}")
    return size


def parse_count(text: str) -> int:
    """A whole number, 0 or more. Raises ArgumentTypeError."""
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(text)


def parse_duration(text: str) -> float:
    """Seconds, such as "2h" or "90m". Raises ArgumentTypeError."""
    seconds = duration_seconds(text)
    if seconds is None or seconds <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a duration such as 2h, 90m or 1h30m")
    return seconds


def parse_until(text: str) -> float:
    """Seconds from now to a time such as "18:00". Raises ArgumentTypeError."""
    seconds = seconds_until(text, datetime.datetime.now().astimezone())
    if seconds is None or seconds <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time to come, such as 18:00 or 2026-12-24T18:00")
    return seconds

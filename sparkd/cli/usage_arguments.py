"""The command line of `sparkctl requests`, `usage` and `history`."""

from __future__ import annotations

import argparse
import datetime
import re
import time
from collections.abc import Callable
from typing import Final

from sparkd.catalog.durations import duration_seconds
from sparkd.cli.argument_types import parse_count

_days = re.compile(r"([0-9]{1,5})d(.*)")
_clock = re.compile(r"[0-9]{1,2}:[0-9]{2}")

SINCE_HELP: Final = "begin at this time: 2h (ago), 7d, 18:00, or a date such as 2026-11-28"


def define_usage_commands(define: Callable[[str, str], argparse.ArgumentParser]) -> None:
    """Define the three commands. `define` adds a command with a name and a purpose."""
    _define_requests(define("requests", "list finished requests, the newest last"))
    _define_usage(define("usage", "show usage by day or month: requests, tokens and times"))
    _define_history(
        define("history", "show what models did: loads, evictions and failures, with the reasons")
    )


def parse_since(text: str) -> float:
    """Seconds since the epoch: of a time, or so long ago. Raises ArgumentTypeError."""
    text = text.strip()
    if found := _days.fullmatch(text):
        rest = duration_seconds(found[2]) if found[2] else 0.0
        length = None if rest is None else int(found[1]) * 86400 + rest
    else:
        length = None if re.fullmatch(r"[0-9.]+", text) else duration_seconds(text)
    if length is not None and length > 0:
        return max(0.0, time.time() - length)
    try:
        return max(0.0, _parse_time(text))
    except (ValueError, OverflowError, OSError):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a duration such as 2h or 7d, nor a time such as 18:00 or 2026-11-28"
        ) from None


def _parse_time(text: str) -> float:
    """The last time when it was that time of the day, or a date of ISO 8601."""
    if not _clock.fullmatch(text):
        return datetime.datetime.fromisoformat(text).timestamp()
    now = datetime.datetime.now().astimezone()
    time_of_day = datetime.time.fromisoformat(text.zfill(5))
    at = datetime.datetime.combine(now.date(), time_of_day).astimezone()
    if at > now:
        at = datetime.datetime.combine(now.date() - datetime.timedelta(days=1), time_of_day).astimezone()
    return at.timestamp()


def _define_requests(requests: argparse.ArgumentParser) -> None:
    requests.add_argument("--model", metavar="MODEL", help="only requests that this model served")
    requests.add_argument("--client", metavar="NAME", help="only requests with this API key, by its name")
    requests.add_argument("--program", metavar="NAME", help="only requests of this client program")
    requests.add_argument("--errors", action="store_true", help="only requests that failed")
    requests.add_argument("--status", metavar="STATUS", help="only this status, such as 429 or 5xx")
    requests.add_argument("--text", metavar="TEXT", help="only requests with this text in their id or a name")
    requests.add_argument("--since", type=parse_since, metavar="TIME", help=SINCE_HELP)
    requests.add_argument(
        "-n", "--limit", type=parse_count, default=50, metavar="N", help="at most the last N requests (50)"
    )
    requests.add_argument("--sort", metavar="COLUMN", help="the largest first, such as seconds or tokens_in")
    output = requests.add_mutually_exclusive_group()
    output.add_argument("-f", "--follow", action="store_true", help="print new requests until Ctrl-C")
    output.add_argument("--csv", action="store_true", help="print every column of all requests as CSV")


def _define_usage(usage: argparse.ArgumentParser) -> None:
    usage.add_argument("--by", choices=("day", "month"), default="day", help="length of a period (day)")
    usage.add_argument(
        "--group", default="model", metavar="NAMES", help="model, client, program, or several: model,client"
    )
    usage.add_argument("--model", metavar="MODEL", help="only this model")
    usage.add_argument("--client", metavar="NAME", help="only this API key, by its name")
    usage.add_argument("--since", type=parse_since, metavar="TIME", help=f"{SINCE_HELP} (30d)")
    usage.add_argument(
        "--machine",
        action="store_true",
        help="show the machine over time instead: speed, requests, memory and GPU, by default of 24h",
    )
    usage.add_argument("--csv", action="store_true", help="print CSV")


def _define_history(history: argparse.ArgumentParser) -> None:
    history.add_argument("model", nargs="?", metavar="MODEL", help="show only this model")
    history.add_argument("--since", type=parse_since, metavar="TIME", help=f"{SINCE_HELP} (24h)")

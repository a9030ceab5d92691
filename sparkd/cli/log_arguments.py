"""Options of the commands for logs and captured requests."""

from __future__ import annotations

import argparse

from sparkd.cli.argument_types import parse_count, parse_duration
from sparkd.journal.lines import LEVELS


def define_logs(logs: argparse.ArgumentParser) -> None:
    """Options of `sparkctl logs`."""
    logs.add_argument(
        "model", nargs="?", metavar="MODEL", help="model id or alias; without it, sparkd's own lines"
    )
    logs.add_argument("-f", "--follow", action="store_true", help="follow until the process ends")
    logs.add_argument(
        "-n", "--lines", type=parse_count, default=200, metavar="N", help="start with the last N lines (200)"
    )
    logs.add_argument(
        "--level", choices=LEVELS, help="of sparkd's lines: only this level and more serious ones"
    )
    logs.add_argument("--event", metavar="NAME", help="of sparkd's lines: only those of this event")
    logs.add_argument("--runs", action="store_true", help="of a model: list the log files of its runs")
    logs.add_argument("--run", metavar="FILE", help="of a model: print one of these files")


def define_capture(capture: argparse.ArgumentParser) -> None:
    """Options of `sparkctl capture`."""
    capture.add_argument("number", nargs="?", type=int, metavar="ID", help="print this captured request")
    subject = capture.add_mutually_exclusive_group()
    subject.add_argument("--client", metavar="NAME", help="begin: the name of an API key or of a program")
    subject.add_argument("--model", metavar="MODEL", help="begin: model id or alias")
    capture.add_argument(
        "--for",
        dest="seconds",
        type=parse_duration,
        default=600.0,
        metavar="TIME",
        help="how long, such as 10m (10m, at most 1h)",
    )
    capture.add_argument("--end", action="store_true", help="end it, and forget what was captured")

"""`sparkctl usage --machine`: what the machine did, as a table of intervals."""

from __future__ import annotations

import argparse
import sys
import time
from typing import Final

from rich.table import Table
from rich.text import Text

from sparkd.cli import exit_codes
from sparkd.cli.output.formatting import format_size
from sparkd.cli.output.messages import print_json, print_line
from sparkd.cli.output.terminal import stdout_console
from sparkd.cli.recorded.source import read_recorded
from sparkd.cli.recorded.values import UNKNOWN, format_moment, format_speed
from sparkd.control.csv_text import format_time, render_rows
from sparkd.usage.columns import KEPT_DAYS, Columns
from sparkd.usage.recent import VALUES

DEFAULT_SPAN: Final = 86400.0
LONGEST_SPAN: Final = KEPT_DAYS * 86400.0
STEPS: Final = (60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)
MAX_ROWS: Final = 32

HEADINGS: Final = ("OUT/S", "IN/S", "IN FLIGHT", "WAITING", "MODELS", "AVAILABLE", "GPU", "TEMP", "POWER")


def show_machine(arguments: argparse.Namespace) -> int:
    """Print one line for each interval, the oldest first. Intervals without measurements before the first one and
    after the last one are left out."""
    span = DEFAULT_SPAN if arguments.since is None else min(time.time() - arguments.since, LONGEST_SPAN)
    span = max(span, 1.0)
    step = next((each for each in STEPS if span / each <= MAX_ROWS), STEPS[-1])
    columns = read_recorded(arguments, lambda source: source.measurements(span, step))
    known = [place for place in range(len(columns.at)) if any(_values(columns, place))]
    if arguments.json:
        print_json(columns)
    elif arguments.csv:
        sys.stdout.write(_render_csv(columns))
    elif known:
        stdout_console().print(_render_table(columns, range(known[0], known[-1] + 1)))
    else:
        print_line("Nothing was measured in this period.")
    return exit_codes.SUCCESS


def _values(columns: Columns, place: int) -> list[bool]:
    return [getattr(columns, name)[place] is not None for name in VALUES]


def _render_csv(columns: Columns) -> str:
    rows = [
        (format_time(at), at, *(getattr(columns, name)[place] for name in VALUES))
        for place, at in enumerate(columns.at)
    ]
    return render_rows([("time", "at", *VALUES), *rows]).decode().replace("\r\n", "\n")


def _render_table(columns: Columns, places: range) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("UNTIL", no_wrap=True)
    for heading in HEADINGS:
        table.add_column(heading, justify="right", no_wrap=True)
    for place in places:
        table.add_row(Text(format_moment(columns.at[place])), *map(Text, _format_row(columns, place)))
    return table


def _format_row(columns: Columns, place: int) -> list[str]:
    """The values of an interval. What is not known is a dash."""
    used, available = columns.used[place], columns.available[place]
    return [
        format_speed(columns.tokens_out[place]),
        format_speed(columns.tokens_in[place]),
        _format(columns.in_flight[place], "{:.1f}"),
        _format(columns.waiting[place], "{:.1f}"),
        UNKNOWN if used is None else format_size(int(used)),
        UNKNOWN if available is None else format_size(int(available)),
        _format(columns.gpu[place], "{:.0%}"),
        _format(columns.temperature[place], "{:.0f} °C"),
        _format(columns.power[place], "{:.0f} W"),
    ]


def _format(value: float | None, pattern: str) -> str:
    return UNKNOWN if value is None else pattern.format(value)

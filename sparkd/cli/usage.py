"""`sparkctl usage`: show usage by day or month."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable
from typing import Final

from rich.table import Table
from rich.text import Text

from sparkd.cli import exit_codes
from sparkd.cli.output.messages import print_json, print_line
from sparkd.cli.output.terminal import stdout_console
from sparkd.cli.recorded.machine import show_machine
from sparkd.cli.recorded.source import read_recorded
from sparkd.cli.recorded.values import UNKNOWN, format_number, format_seconds, format_speed
from sparkd.control.csv_text import render_rows
from sparkd.usage.results import UsageReport, UsageRow, UsageSums
from sparkd.usage.usage_query import USAGE_COLUMNS

DEFAULT_DAYS: Final = 30
NUMBERS: Final = ("REQUESTS", "FAILED", "DISCONNECTED", "IN", "CACHED", "OUT", "BUSY", "FIRST", "TOK/S")


def run(arguments: argparse.Namespace) -> int:
    """Print one line for each period and group, the oldest period first, and a total."""
    if arguments.machine:
        return show_machine(arguments)
    query = {
        "by": arguments.by,
        "group": arguments.group,
        "from": f"{time.time() - DEFAULT_DAYS * 86400 if arguments.since is None else arguments.since:.3f}",
        "model": arguments.model or "",
        "client": arguments.client or "",
    }
    report = read_recorded(arguments, lambda source: source.usage(query))
    if arguments.json:
        print_json(report)
    elif arguments.csv:
        rows = [USAGE_COLUMNS, *([getattr(row, name) for name in USAGE_COLUMNS] for row in report.rows)]
        sys.stdout.write(render_rows(rows).decode().replace("\r\n", "\n"))
    elif report.rows:
        stdout_console().print(_render_table(report))
    else:
        print_line("No request is recorded in this period.")
    return exit_codes.SUCCESS


def _render_table(report: UsageReport) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold", show_footer=True)
    totals = dict(zip(NUMBERS, _format_sums(report.total), strict=True))
    table.add_column(report.by.upper(), no_wrap=True, footer=Text("total", "bold"))
    for name in report.group:
        table.add_column(name.upper(), overflow="fold")
    for heading in NUMBERS:
        table.add_column(heading, justify="right", no_wrap=True, footer=Text(totals[heading], "bold"))
    for row in reversed(report.rows):
        names = [Text(getattr(row, name) or UNKNOWN) for name in report.group]
        table.add_row(Text(row.period), *names, *_render_numbers(row))
    return table


def _render_numbers(row: UsageRow) -> Iterable[Text]:
    for heading, value in zip(NUMBERS, _format_sums(row), strict=True):
        yield Text(value, "red" if heading == "FAILED" and row.failed else "")


def _format_sums(sums: UsageSums) -> Iterable[str]:
    yield format_number(sums.requests)
    yield format_number(sums.failed)
    yield format_number(sums.disconnected)
    yield format_number(sums.tokens_in)
    yield format_number(sums.tokens_cached)
    yield format_number(sums.tokens_out)
    yield format_seconds(sums.busy_seconds)
    yield format_seconds(sums.first_token_seconds)
    yield format_speed(sums.tokens_per_second)

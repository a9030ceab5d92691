"""`sparkctl requests`: list finished requests."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import structs
from rich.table import Table
from rich.text import Text

from sparkd.cli import exit_codes
from sparkd.cli.output.messages import print_json, print_line, print_note
from sparkd.cli.output.terminal import stdout_console
from sparkd.cli.recorded.source import Source, read_recorded
from sparkd.cli.recorded.values import format_moment, format_number, format_seconds, format_speed
from sparkd.control.client import ControlClient, find_socket
from sparkd.control.csv_text import format_time, render_rows
from sparkd.usage.days import is_failed
from sparkd.usage.records import RequestRecord
from sparkd.usage.request_query import MAX_LIMIT
from sparkd.usage.results import RequestPage

FOLLOW_INTERVAL: Final = 1.0
"""Seconds between two questions for new requests."""

HEADINGS: Final = (
    "TIME",
    "MODEL",
    "CLIENT",
    "ENDPOINT",
    "STATUS",
    "WAITED",
    "FIRST",
    "TOTAL",
    "IN",
    "OUT",
    "TOK/S",
)
LEFT: Final = 5
"""The first columns have texts, the others numbers."""

Query = dict[str, str]


def run(arguments: argparse.Namespace) -> int:
    """Print the last requests, and with `--follow` each new one until Ctrl-C."""
    query = _build_query(arguments)
    if arguments.csv:
        read_recorded(arguments, lambda source: _print_csv(source, query))
    elif arguments.follow:
        _follow(arguments, query)
    else:
        page = read_recorded(arguments, lambda source: _read_page(source, query, arguments.limit))
        if arguments.json:
            print_json(page)
        else:
            _print_page(page, is_sorted=bool(arguments.sort))
    return exit_codes.SUCCESS


def _build_query(arguments: argparse.Namespace) -> Query:
    query = {
        "model": arguments.model,
        "client": arguments.client,
        "program": arguments.program,
        "status": "error" if arguments.errors and not arguments.status else arguments.status,
        "text": arguments.text,
        "sort": arguments.sort,
        "from": None if arguments.since is None else f"{arguments.since:.3f}",
    }
    return {name: value for name, value in query.items() if value}


def _read_page(source: Source, query: Query, limit: int) -> RequestPage:
    """The first `limit` requests, from several pages if there are many."""
    page = source.requests(query | {"limit": str(max(1, min(limit, MAX_LIMIT)))})
    found = page.requests[:limit]
    following = page.next
    while following and len(found) < limit:
        size = min(limit - len(found), MAX_LIMIT)
        more = source.requests(query | {"limit": str(size), "before": following})
        found, following = [*found, *more.requests], more.next
    return structs.replace(page, requests=found, next=following)


def _print_page(page: RequestPage, *, is_sorted: bool) -> None:
    """The newest request comes last, as in a log. Sorted ones keep their order."""
    if not page.requests:
        print_line("No request matches." if page.kept else "No request is recorded.")
        return
    shown = page.requests if is_sorted else page.requests[::-1]
    stdout_console().print(_render_table(shown))
    if page.next and page.matching is not None:
        print_note(f"{len(shown)} of {page.matching:,} requests; --limit shows more")


def _follow(arguments: argparse.Namespace, query: Query) -> None:
    with ControlClient(find_socket(arguments.socket, arguments.catalogue)) as client:
        page = _read_page(client, query, arguments.limit)
        _print_new(page.requests[::-1], as_json=arguments.json, is_first=True)
        latest = page.latest
        newest_last = query | {"order": "asc", "sort": "ended", "limit": str(MAX_LIMIT)}
        while True:
            time.sleep(FOLLOW_INTERVAL)
            page = client.requests(newest_last | {"after": str(latest)})
            _print_new(page.requests, as_json=arguments.json, is_first=False)
            latest = page.latest


def _print_new(records: Sequence[RequestRecord], *, as_json: bool, is_first: bool) -> None:
    if as_json:
        for record in records:
            print_json(record)
    elif records or is_first:
        stdout_console().print(_render_table(records, with_headings=is_first, widths=FOLLOW_WIDTHS))


FOLLOW_WIDTHS: Final = (8, 20, 16, 20, 6, 7, 7, 7, 7, 6, 6)
"""Characters of each column at least: tables that follow each other have the same columns."""


def _render_table(
    records: Iterable[RequestRecord], *, with_headings: bool = True, widths: Sequence[int] = ()
) -> Table:
    table = Table(
        box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold", show_header=with_headings
    )
    for place, heading in enumerate(HEADINGS):
        table.add_column(
            heading,
            justify="left" if place < LEFT else "right",
            overflow="fold",
            min_width=widths[place] if widths else None,
        )
    for record in records:
        table.add_row(*_render_cells(record))
    return table


def _render_cells(record: RequestRecord) -> Iterable[Text]:
    output = record.output_seconds
    speed = record.tokens_out / output if output and record.tokens_out is not None else None
    program = f" ({record.program})" if record.program else ""
    status = f"{record.status} {record.code}".rstrip()
    style = "red" if is_failed(record.status) else "yellow" if record.status == 499 else ""
    yield Text(format_moment(record.ended))
    yield Text(record.model)
    yield Text(f"{record.client}{program}")
    yield Text(record.endpoint)
    yield Text(status, style)
    yield Text(format_seconds(record.queue_seconds + record.load_seconds))
    yield Text(format_seconds(record.first_token_seconds))
    yield Text(format_seconds(record.seconds))
    yield Text(format_number(record.tokens_in))
    yield Text(format_number(record.tokens_out))
    yield Text(format_speed(speed))


def _print_csv(source: Source, query: Query) -> None:
    """Every request that matches, a page at a time."""
    output = sys.stdout
    output.write(_csv_text([("time", *RequestRecord.__struct_fields__)]))
    following: str | None = ""
    while following is not None:
        page = source.requests(query | {"limit": str(MAX_LIMIT), "before": following})
        output.write(_csv_text((format_time(each.ended), *structs.astuple(each)) for each in page.requests))
        following = page.next


def _csv_text(rows: Iterable[Sequence[object]]) -> str:
    return render_rows(rows).decode().replace("\r\n", "\n")

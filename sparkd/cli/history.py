"""`sparkctl history [MODEL]`: show what models did, and why."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from rich.table import Table
from rich.text import Text

from sparkd.cli import exit_codes
from sparkd.cli.output.formatting import format_count
from sparkd.cli.output.messages import print_json, print_line
from sparkd.cli.output.status_table import name_state
from sparkd.cli.output.terminal import stdout_console
from sparkd.cli.recorded.source import read_recorded
from sparkd.cli.recorded.values import UNKNOWN, format_moment, format_seconds
from sparkd.usage.lanes import UNKNOWN as UNKNOWN_STATE
from sparkd.usage.model_use import USED_STATES
from sparkd.usage.records import Occurrence
from sparkd.usage.results import History, LoadSummary, ModelHistory, SessionSpan, Span

STYLES: Final = {"ready": "green", "failed": "red", "stopped": "dim", "removed": "dim", "killed": "red"}
OCCURRENCES: Final = {
    "download_began": "download began",
    "downloaded": "downloaded",
    "download_failed": "download failed",
    "guard": "memory guard",
    "reloaded": "catalogue reloaded",
}


class Row(NamedTuple):
    """A line of the table. `seconds` is how long the state lasted. `in_use` is for how long the model was in use then,
    as text."""

    at: float
    model: str
    what: str
    seconds: float | None = None
    in_use: str = ""
    why: str = ""


def run(arguments: argparse.Namespace) -> int:
    """Print one line for each change, the oldest first."""
    query = {} if arguments.since is None else {"from": f"{arguments.since:.3f}"}
    if arguments.model:
        one = read_recorded(arguments, lambda source: source.model_history(arguments.model, query))
        _print(one, sorted(_model_rows(one), key=_order), as_json=arguments.json)
        if not arguments.json:
            print_line(_describe_loads(one.loads))
    else:
        every = read_recorded(arguments, lambda source: source.history(query))
        _print(every, sorted(_rows(every), key=_order), as_json=arguments.json)
    return exit_codes.SUCCESS


def _print(value: History | ModelHistory, rows: list[Row], *, as_json: bool) -> None:
    if as_json:
        print_json(value)
    elif rows:
        stdout_console().print(_render_table(rows))
    else:
        print_line("Nothing is recorded in this period.")


def _rows(history: History) -> Iterator[Row]:
    for lane in history.lanes:
        yield from _span_rows(lane.model, lane.spans, history.until)
    yield from map(_occurrence_row, history.occurrences)
    for session in history.sessions:
        yield from _session_rows(session, history.since)


def _model_rows(history: ModelHistory) -> Iterator[Row]:
    yield from _span_rows(history.model, history.spans, history.until)
    yield from map(_occurrence_row, history.occurrences)


def _span_rows(model: str, spans: Iterable[Span], until: float) -> Iterator[Row]:
    """A stop before anything has happened is left out, and so is what nobody knows: the sessions show that."""
    before = UNKNOWN_STATE
    for span in spans:
        is_initial = span.state == "stopped" and before == UNKNOWN_STATE
        if span.state != UNKNOWN_STATE and not is_initial:
            seconds = None if span.ended >= until else span.ended - span.began
            yield Row(span.began, model, name_state(span.state), seconds, _describe_use(span), span.text)
        before = span.state


def _describe_use(span: Span) -> str:
    """For how long the model was in use, such as "12m" or "≥12m"; "" for states in which no model can be."""
    if span.state not in USED_STATES:
        return ""
    return f"{'≥' if span.in_use is not None and span.use_unknown else ''}{format_seconds(span.in_use)}"


def _occurrence_row(occurrence: Occurrence) -> Row:
    return Row(occurrence.at, occurrence.model, OCCURRENCES[occurrence.kind], why=occurrence.text)


def _session_rows(session: SessionSpan, since: float) -> Iterator[Row]:
    if session.began >= since:
        yield Row(session.began, "", "sparkd began", why=f"version {session.version}")
    if session.end != "running":
        text = "it crashed or was killed, or the machine stopped" if session.end == "killed" else ""
        yield Row(session.ended, "", f"sparkd {session.end}", why=text)


def _render_table(rows: Iterable[Row]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("TIME", "MODEL", "STATE"):
        table.add_column(heading, no_wrap=heading == "TIME", overflow="fold")
    for heading in ("FOR", "IN USE"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("WHY", overflow="fold")
    for row in rows:
        style = STYLES.get(row.what.rpartition(" ")[2], "")
        table.add_row(
            Text(format_moment(row.at)),
            Text(row.model or UNKNOWN, "" if row.model else "dim"),
            Text(row.what, style),
            Text(format_seconds(row.seconds)),
            Text(row.in_use),
            Text(row.why),
        )
    return table


def _describe_loads(loads: LoadSummary) -> str:
    """Such as "12 loads, median 48s, 1 failed"."""
    usual = "" if loads.median_seconds is None else f", median {format_seconds(loads.median_seconds)}"
    failed = f", {loads.failed} failed" if loads.failed else ""
    return f"{format_count(loads.loads, 'load')}{usual}{failed}"


def _order(row: Row) -> tuple[float, str, str]:
    return row[:3]

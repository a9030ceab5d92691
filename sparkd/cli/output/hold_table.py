"""Holds as a table."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from sparkd.cli.output.formatting import format_duration
from sparkd.scheduling.hold import SAME_DAY, HoldStatus


def format_end(hold: HoldStatus) -> str:
    """When a hold ends, in local time; with the date if that is not soon."""
    end = datetime.datetime.now().astimezone() + datetime.timedelta(seconds=hold.seconds_left)
    return end.strftime("%H:%M" if hold.seconds_left < SAME_DAY else "%a %d %b %H:%M")


def render_holds(holds: Sequence[HoldStatus]) -> Table:
    """One line for each hold."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("HOLD", "MODEL", "UNTIL", "LEFT", "OWNER", "JOB", "REASON"):
        table.add_column(heading, overflow="fold")
    for hold in holds:
        left = format_duration(hold.seconds_left)
        row = (
            hold.id,
            hold.model,
            format_end(hold),
            left,
            hold.owner or "-",
            hold.job or "-",
            hold.reason or "-",
        )
        table.add_row(*map(Text, row))
    return table

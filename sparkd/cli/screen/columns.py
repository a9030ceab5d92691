"""Rows of a table that fit the width of the terminal: columns that matter less are left out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct
from rich.text import Text

from sparkd.cli.screen.style import DIM, HEADING, Characters, fit, measure_cells

GAP: Final = 2
"""Blanks between two columns."""

MINOR: Final = 2


class Column(Struct, frozen=True, kw_only=True):
    """`width` cells, or at least that many if it has a share of what is left, in proportion to `share`.

    The column with the highest `rank` is left out first; 0 always stays. Columns of a rank above MINOR are left out
    already if others would get less than what they have `wanted`.
    """

    name: str
    heading: str
    width: int
    wanted: int = 0
    share: int = 0
    right: bool = False
    rank: int = 0
    limit: int = 200


class Layout(Struct, frozen=True):
    """The columns that fit, each with its width."""

    columns: tuple[Column, ...]
    widths: tuple[int, ...]
    characters: Characters

    def render_heading(self, marks: dict[str, str] | None = None) -> Text:
        """The line with the headings; `marks` follow the headings of columns, by name."""
        marks = marks or {}
        return self._join(
            [
                fit(
                    Text(column.heading + marks.get(column.name, ""), HEADING),
                    width,
                    self.characters,
                    right=column.right,
                )
                for column, width in zip(self.columns, self.widths, strict=True)
            ]
        )

    def render_row(self, cells: dict[str, str | Text]) -> Text:
        """One line; `cells` by name of the column."""
        return self._join(
            [
                fit(self._cell(cells.get(column.name)), width, self.characters, right=column.right)
                for column, width in zip(self.columns, self.widths, strict=True)
            ]
        )

    def _cell(self, cell: str | Text | None) -> str | Text:
        return Text(self.characters.unknown, DIM) if cell is None else cell

    def _join(self, cells: Sequence[Text]) -> Text:
        line = Text()
        for number, cell in enumerate(cells):
            if number:
                line.append(" " * GAP)
            line.append_text(cell)
        return line


def arrange(columns: Sequence[Column], width: int, characters: Characters) -> Layout:
    """Choose the columns that fit into `width` cells, and give what is left to those with a share."""
    shown = list(columns)
    while _needed(shown, wanted=True) > width and any(column.rank > MINOR for column in shown):
        shown.remove(max(shown, key=lambda column: column.rank))
    while _needed(shown) > width and any(column.rank for column in shown):
        shown.remove(max(shown, key=lambda column: column.rank))
    widths = [max(column.width, measure_cells(column.heading)) for column in shown]
    left = width - sum(widths) - GAP * (len(shown) - 1)
    shares = sum(column.share for column in shown)
    if left > 0 and shares:
        extra = left
        for number, column in enumerate(shown):
            more = min(left * column.share // shares, extra, max(0, column.limit - widths[number]))
            widths[number] += more
            extra -= more
    elif left < 0:
        for number in sorted(range(len(shown)), key=lambda number: -widths[number]):
            less = min(-left, max(0, widths[number] - 4))
            widths[number] -= less
            left += less
    return Layout(tuple(shown), tuple(widths), characters)


def _needed(columns: Sequence[Column], *, wanted: bool = False) -> int:
    widths = (
        max(column.width, measure_cells(column.heading), column.wanted if wanted else 0) for column in columns
    )
    return sum(widths) + GAP * (len(columns) - 1)

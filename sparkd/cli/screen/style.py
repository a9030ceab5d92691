"""Characters and colours of the screens, for terminals that can show them and for those that cannot.

Nothing is shown by a colour alone: NO_COLOR and terminals without colours lose nothing.
"""

from __future__ import annotations

import sys
import unicodedata
from typing import Final

from msgspec import Struct
from rich.cells import cell_len
from rich.text import Text

ACCENT: Final = "cyan"
DIM: Final = "dim"
GOOD: Final = "green"
WARNING: Final = "yellow"
BAD: Final = "red"
HEADING: Final = "bold"
SELECTED: Final = "reverse"


class Characters(Struct, frozen=True, kw_only=True):
    """The characters that bars, tables and separators are made of."""

    measured: str
    reserved: str
    system: str
    free: str
    reserve: str
    floor: str
    filled: str
    empty: str
    ellipsis: str
    separator: str
    unknown: str
    descending: str
    ascending: str
    pointer: str
    rule: str
    arrows: str
    degree: str


UNICODE: Final = Characters(
    measured="█",
    reserved="░",
    system="▒",
    free="·",
    reserve="╱",  # noqa: RUF001 - it is not a slash, and looks different from one
    floor="┃",
    filled="━",
    empty="─",
    ellipsis="…",
    separator=" · ",
    unknown="—",
    descending="▾",
    ascending="▴",
    pointer="▸",
    rule="─",
    arrows="↑↓",
    degree="°C",
)
ASCII: Final = Characters(
    measured="#",
    reserved="-",
    system="s",
    free=".",
    reserve="/",
    floor="!",
    filled="=",
    empty="-",
    ellipsis="~",
    separator=", ",
    unknown="-",
    descending="v",
    ascending="^",
    pointer=">",
    rule="-",
    arrows="up/down",
    degree="C",
)


def choose_characters(encoding: str | None = None) -> Characters:
    """The set that stdout (or another `encoding`) can show."""
    name = (encoding or sys.stdout.encoding or "ascii").lower()
    return UNICODE if name.replace("-", "").replace("_", "") in ("utf8", "utf16", "utf32") else ASCII


def clean(text: str) -> str:
    """A text from outside on one line, without characters that would control the terminal."""
    if text.isprintable():
        return text
    return "".join(" " if each in "\t\n\r" else "?" if _is_control(each) else each for each in text)


def clean_line(line: Text) -> Text:
    """The same for a text with styles."""
    if line.plain.isprintable():
        return line
    cleaned = line.copy()
    cleaned.plain = "".join(clean(each) for each in line.plain)
    return cleaned


def fit(text: str | Text, width: int, characters: Characters, *, right: bool = False) -> Text:
    """Exactly `width` cells: cut off with an ellipsis, or padded on the right, or on the left with `right`."""
    line = Text(clean(text)) if isinstance(text, str) else clean_line(text)
    length = cell_len(line.plain)
    if length > width:
        style, mark = line.style, characters.ellipsis
        if width <= cell_len(mark):
            return Text(mark * width, style)
        kept = line.copy()
        kept.truncate(width - cell_len(mark))
        kept.append(mark)
        return fit(kept, width, characters, right=right)
    padding = " " * (width - length)
    return Text.assemble(padding, line) if right else Text.assemble(line, padding)


def measure_cells(text: str | Text) -> int:
    """How many columns of the terminal it takes."""
    return cell_len(text if isinstance(text, str) else text.plain)


def _is_control(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")

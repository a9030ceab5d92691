"""A problem of the catalogue, with the line that has it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from sparkd.editing.toml_places import Place, find_places

_part = r'(?:[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*")'
_key = re.compile(rf"({_part}(?:\.{_part})*)(?= = |: )")
_parts = re.compile(_part)
_at_line = re.compile(r"\(at line (\d+)(?:, column (\d+))?\)")
_at_end = "(at end of document)"
_meant = re.compile(r'did you mean "([^"]*)"\?')

MAX_PROBLEMS: Final = 200
"""The most problems of one check. A misspelt key in a family is a problem of each of its models."""


class Problem(Struct, frozen=True, kw_only=True):
    """A problem. `file` is its name in the catalogue, such as `models.d/own.toml`, otherwise its path.

    `line` and `column` count from 1, None if unknown. `key` is the key as the file has it, "" for the whole file, and
    `suggestion` the valid name that is nearest to a misspelt one.
    """

    file: str
    message: str
    key: str = ""
    line: int | None = None
    column: int | None = None
    suggestion: str | None = None

    def describe(self) -> str:
        """The problem as one line: `models.d/own.toml:3:1: key = value: text`."""
        place = "" if self.line is None else f":{self.line}" + (f":{self.column}" if self.column else "")
        return f"{self.file}{place}: {self.message}"


def locate_problems(
    lines: Iterable[str], files: Iterable[Path], names: Mapping[Path, str], read: Callable[[Path], str]
) -> list[Problem]:
    """Problems from the lines that the reader of the catalogue reports, at most MAX_PROBLEMS.

    `files` may have problems, `names` has shorter names for some of them, and `read` returns the text of one of them.
    """
    locator = _Locator(sorted(files, key=lambda file: -len(str(file))), names, read)
    return [locator.locate(line) for line, _ in zip(lines, range(MAX_PROBLEMS), strict=False)]


class _Locator:
    def __init__(self, files: list[Path], names: Mapping[Path, str], read: Callable[[Path], str]) -> None:
        self._files = files
        self._names = names
        self._read = read
        self._texts: dict[Path, str] = {}
        self._places: dict[Path, Mapping[tuple[str, ...], Place]] = {}

    def locate(self, line: str) -> Problem:
        """One problem."""
        file = next((each for each in self._files if line.startswith(f"{each}: ")), None)
        meant = _meant.search(line)
        suggestion = meant[1] if meant else None
        if file is None:
            return Problem(file="", message=line, suggestion=suggestion)
        message = line[len(str(file)) + 2 :]
        key = found[1] if (found := _key.match(message)) else ""
        place = self._find_place(file, key, message)
        return Problem(
            file=self._names.get(file, str(file)),
            message=message,
            key=key,
            line=place.line if place else None,
            column=place.column if place else None,
            suggestion=suggestion,
        )

    def _find_place(self, file: Path, key: str, message: str) -> Place | None:
        if found := _at_line.search(message):
            return Place(int(found[1]), int(found[2] or 1))
        if message.endswith(_at_end):
            text = self._text_of(file)
            return Place(text.count("\n") + 1, len(text) - text.rfind("\n"))
        if not key:
            return None
        if file not in self._places:
            self._places[file] = find_places(self._text_of(file))
        parts = tuple(_split_key(key))
        known = (self._places[file].get(parts[:length]) for length in range(len(parts), 0, -1))
        return next((place for place in known if place), None)

    def _text_of(self, file: Path) -> str:
        if file not in self._texts:
            self._texts[file] = self._read(file)
        return self._texts[file]


def _split_key(key: str) -> Iterator[str]:
    for found in _parts.finditer(key):
        part = found[0]
        yield str(msgspec.json.decode(part)) if part.startswith('"') else part

"""Finds where a TOML file sets each key, so that a problem can name a line.

The parser of the standard library does not keep places. This scanner needs no types: it skips values. It expects valid
TOML, and stops where a text is not.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from typing import Final, NamedTuple

MAX_DEPTH: Final = 40
"""Arrays and tables in values that are nested deeper are skipped without their keys."""

_bare = re.compile(r"[A-Za-z0-9_-]+")
_blank = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_space = re.compile(r"[ \t]*")
_scalar = re.compile(r"[^,\]}\n#]*")
_strings = (
    re.compile(r'"""(?:[^\\]|\\.)*?"""(?:"{0,2})', re.DOTALL),
    re.compile(r"'''.*?'''(?:'{0,2})", re.DOTALL),
    re.compile(r'"(?:[^"\\\n]|\\.)*"'),
    re.compile(r"'[^'\n]*'"),
)


class Place(NamedTuple):
    """Where a key begins. Lines and columns count from 1; a column counts characters."""

    line: int
    column: int


class Span(NamedTuple):
    """A value that is neither a table nor an array: its key, and where it begins and ends in the text."""

    key: tuple[str, ...]
    start: int
    end: int


class _Stop(Exception):
    """The text is not TOML from here on."""


def find_places(text: str) -> Mapping[tuple[str, ...], Place]:
    """Where each table and key begins. The rows of an array of tables are counted from 1: `("steps", "1", "name")`."""
    scanner = _Scanner(text)
    with suppress(_Stop):
        scanner.scan()
    return scanner.places()


def find_values(text: str) -> list[Span]:
    """The single values of a text, in order."""
    scanner = _Scanner(text)
    with suppress(_Stop):
        scanner.scan()
    return scanner.spans


class _Scanner:
    def __init__(self, text: str) -> None:
        self.spans: list[Span] = []
        self._text = text
        self._at = 0
        self._found: dict[tuple[str, ...], int] = {}
        self._rows: dict[tuple[str, ...], int] = {}
        self._table: tuple[str, ...] = ()

    def places(self) -> dict[tuple[str, ...], Place]:
        """What was found, as lines and columns."""
        places, line, start = {}, 1, 0
        for key, at in sorted(self._found.items(), key=lambda item: item[1]):
            line += self._text.count("\n", start, at)
            start = at
            places[key] = Place(line, at - (self._text.rfind("\n", 0, at) + 1) + 1)
        return places

    def scan(self) -> None:
        """Scan the whole text."""
        while self._skip(_blank) < len(self._text):
            if self._text[self._at] == "[":
                self._scan_header()
            else:
                self._scan_pair(self._table, 0)

    def _scan_header(self) -> None:
        start = self._at
        is_row = self._text.startswith("[[", start)
        self._at += 2 if is_row else 1
        key = self._scan_key()
        self._expect("]]" if is_row else "]")
        key = self._with_rows(key)
        if is_row:
            self._note(key, start)
            self._rows[key] = self._rows.get(key, 0) + 1
            key = (*key, str(self._rows[key]))
        self._table = key
        self._note(key, start)

    def _with_rows(self, key: tuple[str, ...]) -> tuple[str, ...]:
        """The key with the number of the current row of each array of tables that it goes through."""
        full: tuple[str, ...] = ()
        for number, part in enumerate(key, 1):
            full = (*full, part)
            if number < len(key) and full in self._rows:
                full = (*full, str(self._rows[full]))
        return full

    def _scan_pair(self, table: tuple[str, ...], depth: int) -> None:
        start = self._at
        key = self._scan_key()
        for length in range(1, len(key) + 1):
            self._note((*table, *key[:length]), start)
        self._expect("=")
        self._skip(_space)
        self._scan_value((*table, *key), depth)

    def _scan_key(self) -> tuple[str, ...]:
        parts = []
        while True:
            self._skip(_space)
            parts.append(self._scan_part())
            self._skip(_space)
            if not self._text.startswith(".", self._at):
                return tuple(parts)
            self._at += 1

    def _scan_part(self) -> str:
        if found := _bare.match(self._text, self._at):
            self._at = found.end()
            return found[0]
        start = self._at
        if not self._skip_string():
            raise _Stop
        quoted = self._text[start : self._at]
        try:
            return str(tomllib.loads(f"key = {quoted}")["key"])
        except ValueError:
            return quoted[1:-1]

    def _scan_value(self, key: tuple[str, ...], depth: int) -> None:
        start = self._at
        if self._skip_string():
            self.spans.append(Span(key, start, self._at))
            return
        opening = self._text[self._at : self._at + 1]
        if opening == "[" and depth < MAX_DEPTH:
            self._scan_array(key, depth + 1)
        elif opening == "{" and depth < MAX_DEPTH:
            self._scan_inline_table(key, depth + 1)
        elif opening in ("[", "{", ""):
            raise _Stop
        else:
            self._skip(_scalar)
            self.spans.append(Span(key, start, self._at))

    def _scan_array(self, key: tuple[str, ...], depth: int) -> None:
        self._at += 1
        number = 0
        while not self._closes("]"):
            number += 1
            self._note((*key, str(number)), self._at)
            self._scan_value((*key, str(number)), depth)

    def _scan_inline_table(self, key: tuple[str, ...], depth: int) -> None:
        self._at += 1
        while not self._closes("}"):
            self._scan_pair(key, depth)

    def _closes(self, closing: str) -> bool:
        """Skip blanks and a comma; whether the array or table ends here."""
        self._skip(_blank)
        if self._text.startswith(",", self._at):
            self._at += 1
            self._skip(_blank)
        if self._text.startswith(closing, self._at):
            self._at += 1
            return True
        if self._at >= len(self._text):
            raise _Stop
        return False

    def _skip_string(self) -> bool:
        if self._text[self._at : self._at + 1] not in ('"', "'"):
            return False
        for pattern in _strings:
            if found := pattern.match(self._text, self._at):
                self._at = found.end()
                return True
        raise _Stop

    def _skip(self, pattern: re.Pattern[str]) -> int:
        if found := pattern.match(self._text, self._at):
            self._at = found.end()
        return self._at

    def _expect(self, text: str) -> None:
        self._skip(_space)
        if not self._text.startswith(text, self._at):
            raise _Stop
        self._at += len(text)

    def _note(self, key: tuple[str, ...], at: int) -> None:
        self._found.setdefault(key, at)

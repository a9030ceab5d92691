"""Rows as CSV (RFC 4180), safe to open in a spreadsheet."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""A text that begins with one of these is a formula in spreadsheets, which could run programs.
The last ones are the wide forms of the first."""

_after_separator = re.compile(r"([;|\t])(\s*[=+\-@\uff1d\uff0b\uff0d\uff20])")
"""The start of a formula for a spreadsheet that separates fields by something else than a comma."""

_QUOTED: Final = frozenset(',"\r\n')


def render_rows(rows: Iterable[Sequence[Any]]) -> bytes:
    """Rows of texts, numbers and None (an empty field)."""
    return "".join(f"{','.join(map(_render_field, row))}\r\n" for row in rows).encode(errors="replace")


def format_time(at: float) -> str:
    """A time in seconds since the epoch as local time with its offset."""
    return datetime.datetime.fromtimestamp(at).astimezone().isoformat(timespec="milliseconds")


def _render_field(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    text = " ".join(value) if isinstance(value, tuple) else str(value)
    if text.startswith(FORMULA_STARTS):
        text = f"'{text}"
    text = _after_separator.sub(r"\1'\2", text)
    if _QUOTED & set(text):
        return '"' + text.replace('"', '""') + '"'
    return text

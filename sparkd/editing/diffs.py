"""The difference of two texts, for people."""

from __future__ import annotations

from typing import Final

MAX_DIFF: Final = 2000
"""Lines of a difference that are shown."""

MAX_LINES: Final = 50_000
"""Longer texts are not compared: that takes seconds."""


def make_diff(name: str, before: bytes | None, after: bytes | None) -> list[str]:
    """The changed lines with three lines around them, in the unified format, at most MAX_DIFF lines."""
    import difflib  # noqa: PLC0415 - only an edit needs it, and no start should wait for it

    old, new = (
        [] if data is None else data.decode(errors="replace").splitlines() for data in (before, after)
    )
    if max(len(old), len(new)) > MAX_LINES:
        return [f"{name} is too long to compare"]
    lines = difflib.unified_diff(old, new, name, name, lineterm="")
    return [line for line, _ in zip(lines, range(MAX_DIFF), strict=False)]

"""The text of a file that cannot be read or edited."""

from __future__ import annotations


class InvalidText(ValueError):
    """`line` counts from 1; None if unknown."""

    def __init__(self, reason: str, line: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.line = line

"""Aliases that are patterns: `claude-*` stands for every name that begins with `claude-`.

`*` matches any characters, `?` exactly one; case does not matter. If several patterns match a name, the most specific
one wins: the one with the most other characters, then the one with the fewest `*`.
"""

from __future__ import annotations

import fnmatch
import re
from functools import cache

WILDCARDS = "*?"


def is_pattern(alias: str) -> bool:
    """Whether an alias is a pattern."""
    return any(wildcard in alias for wildcard in WILDCARDS)


def specificity(pattern: str) -> tuple[int, int]:
    """How specific a pattern is; the greater value wins."""
    return sum(character not in WILDCARDS for character in pattern), -pattern.count("*")


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """The pattern as an expression for names that were folded with `casefold`."""
    return re.compile(fnmatch.translate(pattern.casefold()))


def overlap(one: str, other: str) -> bool:
    """Whether some name matches both patterns."""

    @cache
    def meet(i: int, j: int) -> bool:
        if i == len(one) or j == len(other):
            return not one[i:].strip("*") and not other[j:].strip("*")
        if one[i] == "*":
            return meet(i + 1, j) or meet(i, j + 1)
        if other[j] == "*":
            return meet(i, j + 1) or meet(i + 1, j)
        return (one[i] == other[j] or "?" in (one[i], other[j])) and meet(i + 1, j + 1)

    one, other = one.casefold(), other.casefold()
    return meet(0, 0)

"""Finds the valid name that is most similar to a mistyped one."""

from __future__ import annotations

from collections.abc import Iterable

COMPARED = 300
"""The most names to compare: a request for an unknown model must stay cheap with 10,000 models in the catalogue."""

LONGEST = 100
"""Characters; longer names are not typing mistakes, and a comparison costs the product of both lengths."""


def find_nearest(name: str, names: Iterable[str]) -> str | None:
    """The most similar of `names`, None if none is similar. Among many, only names with the same first letter count."""
    if not name or len(name) > LONGEST:
        return None
    known = list(names)
    if len(known) > COMPARED:
        first = (name[0].lower(), name[0].upper())
        alike = [other for other in known if other.startswith(first)]
        known = sorted(alike, key=lambda other: abs(len(other) - len(name)))[:COMPARED]
    folded = {other.casefold(): other for other in known}
    from difflib import get_close_matches  # noqa: PLC0415  # only a mistake needs it, and no start should wait for it

    found = get_close_matches(name.casefold(), folded, n=1)
    return folded[found[0]] if found else None


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """`; did you mean "x"?` as the end of a sentence, or an empty string."""
    found = find_nearest(name, names)
    return f'; did you mean "{found}"?' if found is not None else ""

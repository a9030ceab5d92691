"""The valid name that somebody most likely meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

COMPARED = 300
"""Names compared at most: a request for an unknown model must stay cheap with 10,000 models in the catalogue."""

LONGEST = 100
"""Characters; nobody mistypes more, and comparing costs the product of both lengths."""


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The one of `names` that is most like `name`, None when none is. Of many, only those that begin alike count."""
    if not name or len(name) > LONGEST:
        return None
    known = list(names)
    if len(known) > COMPARED:
        first = (name[0].lower(), name[0].upper())
        alike = [other for other in known if other.startswith(first)]
        known = sorted(alike, key=lambda other: abs(len(other) - len(name)))[:COMPARED]
    folded = {other.casefold(): other for other in known}
    found = difflib.get_close_matches(name.casefold(), folded, n=1)
    return folded[found[0]] if found else None


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """`; did you mean "x"?`, to end a sentence with, or nothing."""
    found = nearest(name, names)
    return f'; did you mean "{found}"?' if found is not None else ""

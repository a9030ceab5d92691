"""Cuts the errors of an engine's validation (pydantic's) to what matters: which fields, and what is wrong with them.

A field that may have several types has an error for each of them, and each repeats the value. One item of a
`/v1/responses` history so becomes 211 errors and 100 kB.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

MOST = 3
"""Problems that a message names."""

LONGEST_PROBLEM = 150
"""Characters."""

# As vLLM prints them: {'type': 'missing', 'loc': ('body', 'messages'), 'msg': 'Field required', 'input': …}
_QUOTED = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\""""
_printed = re.compile(
    rf"""'loc': (\((?:(?:{_QUOTED}|\d+)(?:, )?)*,?\)|{_QUOTED}), 'msg': ({_QUOTED})""", re.DOTALL
)
_segment = re.compile(r"""'([^']*)'|"([^"]*)"|(\d+)""")
# As pydantic's str() has them: a line with the field, then one with the problem.
_listed = re.compile(r"^(\S[^\n]*)\n  (.+?) \[type=", re.MULTILINE)
_count = re.compile(r"(\d+) validation errors?")

_TYPES = frozenset(
    {
        "function-wrap",
        "function-after",
        "function-before",
        "function-plain",
        "json-or-python",
        "lax-or-strict",
    }
    | {
        "chain",
        "default",
        "nullable",
        "tagged-union",
        "union",
        "str",
        "int",
        "float",
        "bool",
        "bytes",
        "list",
    }
    | {
        "tuple",
        "dict",
        "set",
        "frozenset",
        "none",
        "nonetype",
        "is-instance",
        "is-subclass",
        "constrained-str",
    }
)
_type = re.compile(r".*[\[\](){}].*|[A-Z]\w*", re.DOTALL)
_unlikely = re.compile(r"Field required|Extra inputs|Input should be '")
"""Problems that the types which were not meant have."""


class Validation(Struct, frozen=True):
    """Problems as one text, and the field of the first."""

    text: str
    field: str | None


def summarize_details(details: Iterable[Any]) -> Validation | None:
    """The errors in FastAPI's `{"detail": [{"loc": …, "msg": …}]}`; None if there are none."""
    problems = [
        (_name_field(detail.get("loc") or ()), str(detail.get("msg", "")))
        for detail in details
        if isinstance(detail, Mapping)
    ]
    return _summarize(problems, len(problems))


def summarize_text(text: str) -> Validation | None:
    """The errors in a text as vLLM or pydantic make it; None if it is another text."""
    problems = [(_name_field(_split(found[1])), _unquote(found[2])) for found in _printed.finditer(text)]
    if not problems:
        problems = [(_name_field(found[1].split(".")), found[2]) for found in _listed.finditer(text)]
    counted = _count.search(text)
    return _summarize(problems, max(len(problems), int(counted[1][:9]) if counted else 0))


def _summarize(problems: list[tuple[str, str]], total: int) -> Validation | None:
    if not problems:
        return None
    distinct = sorted(
        dict.fromkeys(problems),
        key=lambda problem: (_unlikely.match(problem[1]) is not None, -problem[0].count(".")),
    )
    named = [f"`{field}`: {_cut(problem)}" if field else _cut(problem) for field, problem in distinct[:MOST]]
    more = total - len(named)
    rest = f"; and {more} more" if more > 0 and len(distinct) > MOST else ""
    return Validation("; ".join(named) + rest, distinct[0][0] or None)


def _name_field(location: Any) -> str:
    """`input.0.id`: without the types that pydantic tried."""
    parts = [str(part) for part in location] if isinstance(location, (list, tuple)) else [str(location)]
    if parts and parts[0] in ("body", "query", "path"):
        parts = parts[1:]
    kept = [part for part in parts if part.lower() not in _TYPES and not _type.fullmatch(part)]
    return _cut(".".join(kept))


def _split(printed: str) -> list[str]:
    """The segments of a location that was printed as a tuple, or as a text with dots."""
    if printed.startswith("("):
        return [found[1] or found[2] or found[3] or "" for found in _segment.finditer(printed)]
    return _unquote(printed).split(".")


def _unquote(printed: str) -> str:
    return printed[1:-1].replace("\\'", "'").replace("\\n", " ")


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_PROBLEM else text[:LONGEST_PROBLEM] + "…"

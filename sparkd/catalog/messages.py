"""The text of a problem: one line with file, key, value and the expected value."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import inspect

from sparkd.catalog.secrets import MASK, is_secret, mask_value

LONGEST_VALUE = 60
"""The most characters of a value that a problem shows."""

_bare = re.compile(r"[A-Za-z0-9_-]+")


def quote(text: str) -> str:
    """A string in quotes, on one line, without control characters that a terminal would interpret."""
    inside = json.dumps(text, ensure_ascii=False)
    return "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in inside)


def join_key(*parts: str) -> str:
    """A key in TOML syntax: `models.qwen3.memory`, `models."qwen2.5".memory`."""
    return ".".join(part if _bare.fullmatch(part) else quote(part) for part in parts)


def format_value(value: object) -> str:
    """A value in TOML-like syntax, on one line and shortened."""
    text = _format_toml(mask_value(value), depth=3)
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + "…"


def _format_toml(value: object, depth: int) -> str:
    # A depth limit, because dotted keys (`a.a.a.…`) can nest tables deeper than Python's stack.
    if isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, Mapping):
        items = itertools.islice(value.items(), LONGEST_VALUE if depth else 0)
        inside = ", ".join(
            f"{join_key(str(key))} = {_format_toml(_hide(str(key), item), depth - 1)}" for key, item in items
        )
        return f"{{ {inside or '…'} }}" if value else "{}"
    if isinstance(value, Sequence):
        inside = ", ".join(_format_toml(item, depth - 1) for item in value[: LONGEST_VALUE if depth else 0])
        return f"[{inside or '…'}]" if value else "[]"
    return str(value)


def _hide(key: str, value: object) -> object:
    """The value of a key, without a secret: problems are logged."""
    return MASK if is_secret(key) and isinstance(value, str) else mask_value(value)


def format_problem(file: Path, key: str, text: str) -> str:
    """A problem with a key or a table."""
    return f"{file}: {key}: {text}"


def format_value_problem(file: Path, key: str, value: object, text: str) -> str:
    """A problem with a value."""
    return f"{file}: {key} = {format_value(_hide(key.rpartition('.')[2], value))}: {text}"


def join_with_or(names: Sequence[str]) -> str:
    """`"a", "b" or "c"`."""
    each = [quote(name) for name in names]
    return " or ".join(filter(None, [", ".join(each[:-1]), each[-1]]))


def unwrap_type(info: inspect.Type) -> tuple[inspect.Type, str | None]:
    """A type without its None, which TOML cannot express, and its unit if it has one."""
    unit = None
    while True:
        if isinstance(info, inspect.Metadata):
            unit = unit or (info.extra or {}).get("unit")
            info = info.type
        elif isinstance(info, inspect.UnionType) and info.includes_none:
            others = tuple(part for part in info.types if not isinstance(part, inspect.NoneType))
            info = others[0] if len(others) == 1 else inspect.UnionType(others)
        else:
            return info, unit


_units = {
    "bytes": 'a size such as "20 GiB", or a number of bytes',
    "seconds": "seconds, a number",
    "path": "a path, absolute or relative to this file",
    "source": "a repository `org/name`, or a folder that begins with / or ./",
}
_plain: Mapping[type[inspect.Type], str] = {
    inspect.BoolType: "true or false",
    inspect.FloatType: "a number",
    inspect.IntType: "a whole number",
    inspect.StrType: "a string",
    inspect.StructType: "a table",
    inspect.AnyType: "any JSON value",
}


def describe_type(info: inspect.Type) -> str:
    """A description of the values of this type, to follow "expected"."""
    info, unit = unwrap_type(info)
    if isinstance(info, inspect.LiteralType):
        return join_with_or([str(value) for value in info.values])
    if isinstance(info, inspect.VarTupleType):
        return f"a list of {_plural(describe_type(info.item_type))}"
    if isinstance(info, inspect.DictType):
        return f"a table of {_plural(describe_type(info.value_type))}"
    if isinstance(info, inspect.UnionType):
        return _describe_union(info)
    if isinstance(info, inspect.StrType) and info.pattern:
        return f"a string that matches {info.pattern}"
    text = _units.get(unit or "") or _plain[type(info)]
    return text + _bounds(info) if unit != "bytes" else text


def _describe_union(info: inspect.UnionType) -> str:
    if len(info.types) == 2:
        return " or ".join(map(describe_type, info.types))
    return "a string, a number, true or false, or a list of these"


_plurals = {
    "a string": "strings",
    "a table": "tables",
    "a list of strings": "lists of strings",
    "any JSON value": "any JSON values",
    "a table of any JSON values": "tables of any JSON values",
    "a string, a number, true or false, or a list of these": "strings, numbers, true or false, or lists of these",
}


def _plural(phrase: str) -> str:
    return _plurals.get(phrase, phrase)


def _bounds(info: Any) -> str:  # the numeric types of msgspec.inspect have no common base with bounds
    low, high = getattr(info, "ge", None), getattr(info, "le", None)
    return f" from {low:.0f} to {high:.0f}" if low is not None and high is not None else ""

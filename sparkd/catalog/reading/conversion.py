"""Converts one value at a time from TOML to the type in the definitions."""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import msgspec
from msgspec import NODEFAULT, Struct, inspect

from sparkd.catalog.definitions import IMPLICIT_FIELDS
from sparkd.catalog.messages import describe_type, unwrap_type
from sparkd.catalog.nearest import did_you_mean
from sparkd.catalog.sizes import likely_size, parse_size


class InvalidValue(Exception):
    """A value does not have the type of its key. The message ends the line of the problem."""


class Key(Struct, frozen=True):
    """A key of a table. `items`: the type of its values, if it is a table with free keys (`options`, `environment`).
    `struct`: its type, if it is a table with known keys (`rewriting`). `rows`: the type of each table, if it is a list
    of tables (`steps`)."""

    name: str
    type: Any
    info: inspect.Type
    unit: str | None
    default: Any
    description: str
    items: Key | None
    struct: type[Struct] | None = None
    rows: type[Struct] | None = None

    def describe_type(self) -> str:
        """A description of its values."""
        return describe_type(inspect.type_info(self.type))


@cache
def keys_of(struct: type[Struct]) -> Mapping[str, Key]:
    """The keys of the table that is read as a `struct`, in order."""
    keys = {}
    for given in msgspec.structs.fields(struct):
        if given.name not in IMPLICIT_FIELDS:
            default = given.default if given.default_factory is NODEFAULT else given.default_factory()
            keys[given.name] = _make_key(given.name, given.type, default)
    return keys


def _make_key(name: str, type_: Any, default: Any) -> Key:
    info = inspect.type_info(type_)
    schema = (info.extra_json_schema if isinstance(info, inspect.Metadata) else None) or {}
    plain, unit = unwrap_type(info)
    items = None
    if isinstance(plain, inspect.DictType):
        mapping = get_args(type_)[0] if get_origin(type_) is Annotated else type_
        items = _make_key(name, get_args(mapping)[1], NODEFAULT)
    struct = plain.cls if isinstance(plain, inspect.StructType) else None
    row = unwrap_type(plain.item_type)[0] if isinstance(plain, inspect.VarTupleType) else None
    rows = row.cls if isinstance(row, inspect.StructType) else None
    return Key(name, type_, plain, unit, default, schema.get("description", ""), items, struct, rows)


def convert(key: Key, raw: object, folder: Path) -> Any:
    """Convert the value of a key to its type. Relative paths start at `folder`. Raises Unusable."""
    if key.unit == "bytes" and isinstance(raw, str):
        raw = _parse_bytes(key, raw)
    try:
        value = msgspec.convert(raw, key.type)
        _reject_unusable(value)
    except (msgspec.ValidationError, RecursionError):
        raise InvalidValue(f"expected {key.describe_type()}{_suggest_choice(key, raw)}") from None
    return _resolve_path(key, value, folder) if key.unit in ("path", "source") else value


def _parse_bytes(key: Key, text: str) -> int:
    try:
        return parse_size(text)
    except ValueError:
        likely = likely_size(text)
        meant = f'; did you mean "{likely}"?' if likely else ""
        raise InvalidValue(f"expected {key.describe_type()}{meant}") from None


def _suggest_choice(key: Key, raw: object) -> str:
    info, one = key.info, raw
    if isinstance(info, inspect.VarTupleType) and isinstance(raw, list):
        info = info.item_type
        choices = info.values if isinstance(info, inspect.LiteralType) else []
        one = next((part for part in raw if part not in choices), None)
    if isinstance(info, inspect.LiteralType) and isinstance(one, str):
        return did_you_mean(one, [str(value) for value in info.values])
    return ""


def _reject_unusable(value: object) -> None:
    if isinstance(value, tuple | list):
        for part in value:
            _reject_unusable(part)
    elif isinstance(value, dict):
        _reject_unusable([*value, *value.values()])
    elif isinstance(value, str) and "\0" in value:
        raise InvalidValue(
            "expected a string without a NUL character"
        )  # argv, environment and paths cannot have one
    elif isinstance(value, float) and not math.isfinite(value):
        raise InvalidValue("expected a finite number")
    elif isinstance(value, datetime.date | datetime.time):
        raise InvalidValue("expected a JSON value; JSON has no dates, so put it in quotes")


def _resolve_path(key: Key, value: str, folder: Path) -> str:
    if not value or value.startswith("~"):
        tilde = ' ("~" is not expanded)' if value else ""
        raise InvalidValue(f"expected {key.describe_type()}{tilde}")
    if key.unit == "source" and not value.startswith(("/", "./", "../")):
        return value
    return str(folder / value)

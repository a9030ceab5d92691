"""One value at a time from what TOML has to what the definitions want."""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import msgspec
from msgspec import NODEFAULT, Struct, inspect

from sparkd.catalog.definitions import NOT_KEYS
from sparkd.catalog.nearest import did_you_mean
from sparkd.catalog.sizes import likely_size, parse_size
from sparkd.catalog.wording import bare, expectation


class Unusable(Exception):
    """A value is not what its key wants. The message ends the line that tells about it."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key of a table. `items` is what its values are where it is a table itself (`options`, `environment`);
    `struct` what it becomes where its own keys are known (`rewriting`); `rows` what each of its tables becomes where
    it is a list of them (`steps`)."""

    name: str
    type: Any
    info: inspect.Type
    unit: str | None
    default: Any
    description: str
    items: Key | None
    struct: type[Struct] | None = None
    rows: type[Struct] | None = None

    def expected(self) -> str:
        """What its value looks like, in words."""
        return expectation(inspect.type_info(self.type))


@cache
def keys_of(struct: type[Struct]) -> Mapping[str, Key]:
    """The keys of the table that becomes a `struct`, in order."""
    keys = {}
    for given in msgspec.structs.fields(struct):
        if given.name not in NOT_KEYS:
            default = given.default if given.default_factory is NODEFAULT else given.default_factory()
            keys[given.name] = _key(given.name, given.type, default)
    return keys


def _key(name: str, type_: Any, default: Any) -> Key:
    info = inspect.type_info(type_)
    schema = (info.extra_json_schema if isinstance(info, inspect.Metadata) else None) or {}
    plain, unit = bare(info)
    items = None
    if isinstance(plain, inspect.DictType):
        mapping = get_args(type_)[0] if get_origin(type_) is Annotated else type_
        items = _key(name, get_args(mapping)[1], NODEFAULT)
    struct = plain.cls if isinstance(plain, inspect.StructType) else None
    row = bare(plain.item_type)[0] if isinstance(plain, inspect.VarTupleType) else None
    rows = row.cls if isinstance(row, inspect.StructType) else None
    return Key(name, type_, plain, unit, default, schema.get("description", ""), items, struct, rows)


def convert(key: Key, raw: object, folder: Path) -> Any:
    """The value of a key as its type; relative paths begin at `folder`. Raises Unusable."""
    if key.unit == "bytes" and isinstance(raw, str):
        raw = _bytes(key, raw)
    try:
        value = msgspec.convert(raw, key.type)
        _refuse_what_nothing_can_use(value)
    except (msgspec.ValidationError, RecursionError):
        raise Unusable(f"expected {key.expected()}{_meant(key, raw)}") from None
    return _located(key, value, folder) if key.unit in ("path", "source") else value


def _bytes(key: Key, text: str) -> int:
    try:
        return parse_size(text)
    except ValueError:
        likely = likely_size(text)
        meant = f'; did you mean "{likely}"?' if likely else ""
        raise Unusable(f"expected {key.expected()}{meant}") from None


def _meant(key: Key, raw: object) -> str:
    info, one = key.info, raw
    if isinstance(info, inspect.VarTupleType) and isinstance(raw, list):
        info = info.item_type
        choices = info.values if isinstance(info, inspect.LiteralType) else []
        one = next((part for part in raw if part not in choices), None)
    if isinstance(info, inspect.LiteralType) and isinstance(one, str):
        return did_you_mean(one, [str(value) for value in info.values])
    return ""


def _refuse_what_nothing_can_use(value: object) -> None:
    if isinstance(value, tuple | list):
        for part in value:
            _refuse_what_nothing_can_use(part)
    elif isinstance(value, dict):
        _refuse_what_nothing_can_use([*value, *value.values()])
    elif isinstance(value, str) and "\0" in value:
        raise Unusable("expected text without a NUL character")  # no argv, environment or path can have one
    elif isinstance(value, float) and not math.isfinite(value):
        raise Unusable("expected a finite number")
    elif isinstance(value, datetime.date | datetime.time):
        raise Unusable("expected something that JSON has too, which knows no dates; put it in quotes")


def _located(key: Key, value: str, folder: Path) -> str:
    if not value or value.startswith("~"):
        tilde = ' ("~" is not expanded)' if value else ""
        raise Unusable(f"expected {key.expected()}{tilde}")
    if key.unit == "source" and not value.startswith(("/", "./", "../")):
        return value
    return str(folder / value)

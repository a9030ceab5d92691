"""Values as forms send them: empty fields, numbers and booleans in quotes, numbers outside the field's range."""

from __future__ import annotations

import math
import re
from typing import Any

import msgspec

from sparkd.errors import InvalidRequest
from sparkd.rewriting.body import JsonBody
from sparkd.rewriting.decoding import decode_value
from sparkd.rewriting.parameters.known_fields import FIELDS, Field
from sparkd.rewriting.rewrite_context import RewriteContext

BLANK_WORDS = frozenset({"", "null", "none", "undefined", "nan", "auto", "default"})
"""Strings that say nothing where a number, a boolean, an object or a list belongs."""

_BOOLEAN_WORDS = {"true": True, "1": True, "yes": True, "on": True}
_BOOLEAN_WORDS |= {"false": False, "0": False, "no": False, "off": False}
_number = re.compile(r"[+-]?(\d{1,30}([.,]\d{0,30})?|[.,]\d{1,30})([eE][+-]?\d{1,3})?")

_MAX_SEED = 2**63 - 1
"""Seeds are signed numbers of 64 bits."""

_LONG = 256
"""Bytes of a value that is certainly no number, and that is not decoded here."""

_OMITTED = object()


def read_form_values(context: RewriteContext, body: JsonBody) -> JsonBody:
    """Leave out fields that say nothing, read values in quotes, and keep numbers in range. Raises InvalidRequest."""
    known = FIELDS[context.api]
    omitted = []
    changed: dict[str, object] = {}
    for name, raw in body.fields.items():
        field = known.get(name)
        if field is None or len(memoryview(raw)) > _LONG:
            continue
        value = decode_value(raw)
        read = _read_value(name, field, value)
        if read is _OMITTED:
            omitted.append(name)
        elif read is not value:
            changed[name] = read
    rewritten = body.with_fields(changed) if changed else body
    return rewritten.without(omitted) if omitted else rewritten


def is_blank(value: object) -> bool:
    """Whether a value says nothing where something other than a text belongs."""
    return value is None or (isinstance(value, str) and value.strip().lower() in BLANK_WORDS)


def _read_value(name: str, field: Field, value: Any) -> object:
    """The value to send: the same object if nothing changes."""
    if value is None:
        return _OMITTED
    if field.kind in ("integer", "number"):
        return _read_number(name, field, value)
    if field.kind == "boolean":
        return _read_boolean(name, value)
    if field.kind in ("text", "choice"):
        if isinstance(value, str):
            return _OMITTED if not value.strip() else value
        return value if isinstance(value, bool | list | dict) else str(value)
    return _OMITTED if is_blank(value) else value


def _read_number(name: str, field: Field, value: Any) -> object:
    if is_blank(value):
        return _OMITTED
    number = _parse_number(value) if isinstance(value, str) else value
    if isinstance(number, bool):
        return value
    if not isinstance(number, int | float) or not math.isfinite(number):
        raise InvalidRequest(
            f"`{name}` must be {_describe(field)}, not {_show(value)}. Send one, or leave the field out.",
            param=name,
        )
    if name == "seed":
        return _fit_seed(number)
    if field.kind == "integer" and isinstance(value, str):
        number = _as_integer(name, field, number, value)
    if field.low is not None and number < field.low:
        return field.low if field.is_clamped else _OMITTED
    if field.high is not None and number > field.high:
        return field.high
    return number


def _parse_number(text: str) -> int | float | None:
    text = text.strip()
    if not _number.fullmatch(text):
        return None
    number = float(text.replace(",", "."))
    return int(text) if re.fullmatch(r"[+-]?\d+", text) else number


def _as_integer(name: str, field: Field, number: float, given: object) -> int:
    if number != int(number):
        raise InvalidRequest(f"`{name}` must be {_describe(field)}, not {_show(given)}.", param=name)
    return int(number)


def _fit_seed(number: float) -> int | float:
    """A seed in the range that engines take; the same seed always becomes the same number."""
    if isinstance(number, int) and -_MAX_SEED <= number <= _MAX_SEED:
        return number
    return int(number) & _MAX_SEED


def _read_boolean(name: str, value: Any) -> object:
    if is_blank(value):
        return _OMITTED
    if isinstance(value, bool):
        return value
    if name == "logprobs" and isinstance(value, int):
        return value  # the number, as in /v1/completions: `fix_dependent_fields` moves it to `top_logprobs`
    read = _BOOLEAN_WORDS.get(value.strip().lower() if isinstance(value, str) else str(value))
    if read is None:
        raise InvalidRequest(f"`{name}` must be true or false, not {_show(value)}.", param=name)
    return read


def _describe(field: Field) -> str:
    return "a whole number" if field.kind == "integer" else "a number"


def _show(value: object) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 40 else text[:39] + "…"

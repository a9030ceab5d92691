"""Values as forms send them: empty fields, numbers and booleans in quotes, numbers outside the field's range."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import msgspec

from sparkd.errors import InvalidRequest
from sparkd.rewriting.body import JsonBody
from sparkd.rewriting.decoding import decode_value
from sparkd.rewriting.parameters.engine_facts import runs_vllm
from sparkd.rewriting.parameters.known_fields import FIELDS, Field, Kind
from sparkd.rewriting.rewrite_context import Api, RewriteContext

BLANK_WORDS = frozenset({"", "null", "none", "undefined", "nan", "auto", "default"})
"""Strings that say nothing in the place of a number, a boolean, an object or a list."""

_BOOLEAN_WORDS = {"true": True, "1": True, "yes": True, "on": True}
_BOOLEAN_WORDS |= {"false": False, "0": False, "no": False, "off": False}
_number = re.compile(r"[+-]?(\d{1,30}([.,]\d{0,30})?|[.,]\d{1,30})([eE][+-]?\d{1,3})?")

_MAX_SEED = 2**63 - 1
"""Seeds are signed numbers of 64 bits."""

_LONG = 256
"""Bytes of a value that is certainly no number, and that is not decoded here."""

_SHORT_KINDS = ("integer", "number", "boolean")

_NAME_LISTS = ("include", "modalities", "bad_words")
"""Lists of strings, for which clients also send one string."""

_REQUIRED = {("messages", "max_tokens"): 8192}
"""Fields that an API requires, and their values if they say nothing."""

_LENIENT = ("thinking", "metadata")
"""Objects that other rules leave out if they are none."""

_EXPECTED: Mapping[Kind, str] = {
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "text": "a string",
    "choice": "a string",
    "object": "an object",
    "list": "a list",
}

_OMITTED, _UNCHANGED = object(), object()


def read_form_values(context: RewriteContext, body: JsonBody) -> JsonBody:
    """Leave out fields that say nothing, read values in quotes, and keep numbers in range. Raises InvalidRequest."""
    known = FIELDS[context.api]
    omitted = []
    changed: dict[str, object] = {}
    for name, raw in body.fields.items():
        if name not in known:
            continue
        if len(memoryview(raw)) > _LONG:
            if known[name].kind in _SHORT_KINDS:
                raise _build_error(name, known[name])
            continue
        read = _read_once(bytes(raw), context.api, name)
        if read is _UNCHANGED:
            continue
        if read is _OMITTED and (context.api, name) in _REQUIRED:
            changed[name] = _REQUIRED[context.api, name]
        elif read is _OMITTED:
            omitted.append(name)
        else:
            changed[name] = read
    if runs_vllm(context.model) and "messages" in body.fields:
        required = {name: value for (api, name), value in _REQUIRED.items() if api == context.api}
        changed |= {name: value for name, value in required.items() if name not in body.fields}
    rewritten = body.with_fields(changed) if changed else body
    return rewritten.without(omitted) if omitted else rewritten


def is_blank(value: object) -> bool:
    """Whether a value says nothing, in the place of something other than a text."""
    return value is None or (isinstance(value, str) and value.strip().lower() in BLANK_WORDS)


@lru_cache(maxsize=1024)
def _read_once(data: bytes, api: Api, name: str) -> object:
    """The value to send for a field, for which most requests have one of few values."""
    value = decode_value(msgspec.Raw(data))
    read = _read_value(name, FIELDS[api][name], value)
    return _UNCHANGED if read is value else read


def _read_value(name: str, field: Field, value: Any) -> object:
    """The value to send: the same object if nothing changes."""
    if value is None:
        return _OMITTED
    if field.kind in ("integer", "number"):
        return _read_number(name, field, value)
    if field.kind == "boolean":
        return _read_boolean(name, value)
    if field.kind in ("text", "choice"):
        return _read_text(name, field, value)
    return _read_container(name, field, value)


def _read_text(name: str, field: Field, value: Any) -> object:
    if isinstance(value, str):
        is_known = not field.choices or value in field.choices
        return value if value.strip() and is_known else _OMITTED
    if field.kind == "choice":
        return _OMITTED
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise _build_error(name, field)


def _read_container(name: str, field: Field, value: Any) -> object:
    """An object or a list. A list loses its empty items; an empty list is how PHP writes an empty object."""
    if is_blank(value) or value == ([] if field.kind == "object" else {}):
        return _OMITTED
    if name in _NAME_LISTS and isinstance(value, str):
        return [value]
    if field.kind == "list" and isinstance(value, list):
        items = [item for item in value if item not in (None, "")]
        return value if len(items) == len(value) else items or _OMITTED
    if isinstance(value, dict) or name in _LENIENT or (name == "response_format" and isinstance(value, str)):
        return value
    raise _build_error(name, field)


def _read_number(name: str, field: Field, value: Any) -> object:
    if is_blank(value):
        return _OMITTED
    number = _parse_number(value) if isinstance(value, str) else value
    if isinstance(number, bool):
        return value
    if not isinstance(number, int | float) or not math.isfinite(number):
        raise _build_error(name, field)
    if name == "seed":
        return _fit_seed(number)
    if field.kind == "integer" and isinstance(number, float):
        if number != int(number):
            raise _build_error(name, field)
        number = int(number) if isinstance(value, str) else number
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
        raise _build_error(name, Field("boolean"))
    return read


def _build_error(name: str, field: Field) -> InvalidRequest:
    expected = _EXPECTED[field.kind]
    unit = " of tokens" if name.startswith("max_") and name.endswith("tokens") else ""
    return InvalidRequest(f"`{name}` must be {expected}{unit}.", param=name)

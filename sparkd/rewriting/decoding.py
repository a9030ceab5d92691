"""Values looked into only as deep as a rule needs: whatever has another shape is None, never an exception."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

T = TypeVar("T")

Fields = dict[str, msgspec.Raw]
"""A JSON object whose values are left as the bytes they came in."""

_fields = msgspec.json.Decoder(Fields)
_items = msgspec.json.Decoder(list[msgspec.Raw])
_text = msgspec.json.Decoder(str)
_boolean = msgspec.json.Decoder(bool)
_content: msgspec.json.Decoder[str | list[msgspec.Raw] | Fields] = msgspec.json.Decoder(
    str | list[msgspec.Raw] | Fields
)
_anything: msgspec.json.Decoder[Any] = msgspec.json.Decoder()
_encoder = msgspec.json.Encoder()


def raw(value: object) -> msgspec.Raw:
    """A value as JSON."""
    return msgspec.Raw(_encoder.encode(value))


def fields_of(value: msgspec.Raw | None) -> Fields | None:
    """The fields of an object, their values undecoded."""
    return _decoded(_fields, value)


def items_of(value: msgspec.Raw | None) -> list[msgspec.Raw] | None:
    """The items of an array, undecoded."""
    return _decoded(_items, value)


def text_of(value: msgspec.Raw | None) -> str | None:
    """A text."""
    return _decoded(_text, value)


def content_of(value: msgspec.Raw | None) -> str | list[msgspec.Raw] | Fields | None:
    """A text, the items of an array or the fields of an object; cheaper than trying one after the other."""
    return _decoded(_content, value)


def boolean_of(value: msgspec.Raw | None) -> bool | None:
    """True or false."""
    return _decoded(_boolean, value)


def value_of(value: msgspec.Raw | None) -> Any:
    """Any value, decoded whole; None also for what is not there."""
    return _decoded(_anything, value)


def is_null(value: msgspec.Raw | None) -> bool:
    """Whether a value is null, or not there at all."""
    return value is None or bytes(value).strip() == b"null"


def _decoded(decoder: msgspec.json.Decoder[T], value: msgspec.Raw | None) -> T | None:
    if value is None:
        return None
    try:
        return decoder.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None  # another type, half of a surrogate pair, nested too deeply: the engine's to judge

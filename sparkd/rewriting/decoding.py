"""Decodes values only as deep as a rule needs. A value of another shape is None, never an exception."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

T = TypeVar("T")

Fields = dict[str, msgspec.Raw]
"""A JSON object whose values keep their original bytes."""

_object_decoder = msgspec.json.Decoder(Fields)
_array_decoder = msgspec.json.Decoder(list[msgspec.Raw])
_string_decoder = msgspec.json.Decoder(str)
_boolean_decoder = msgspec.json.Decoder(bool)
_content: msgspec.json.Decoder[str | list[msgspec.Raw] | Fields] = msgspec.json.Decoder(
    str | list[msgspec.Raw] | Fields
)
_value_decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder()
_encoder = msgspec.json.Encoder()
_OBJECT, _ARRAY, _STRING = b"{", b"[", b'"'


def encode_raw(value: object) -> msgspec.Raw:
    """A value as JSON."""
    return msgspec.Raw(_encoder.encode(value))


def decode_object(value: msgspec.Raw | None) -> Fields | None:
    """The fields of an object, their values undecoded."""
    return _try_decode(_object_decoder, value) if _begins_with(value, _OBJECT) else None


def decode_array(value: msgspec.Raw | None) -> list[msgspec.Raw] | None:
    """The items of an array, undecoded."""
    return _try_decode(_array_decoder, value) if _begins_with(value, _ARRAY) else None


def decode_string(value: msgspec.Raw | None) -> str | None:
    """A string."""
    return _try_decode(_string_decoder, value) if _begins_with(value, _STRING) else None


def decode_content(value: msgspec.Raw | None) -> str | list[msgspec.Raw] | Fields | None:
    """A text, the items of an array or the fields of an object; cheaper than trying one after the other."""
    return _try_decode(_content, value)


def decode_boolean(value: msgspec.Raw | None) -> bool | None:
    """True or false."""
    return _try_decode(_boolean_decoder, value)


def decode_value(value: msgspec.Raw | None) -> Any:
    """Any value, completely decoded; None if it is missing."""
    return _try_decode(_value_decoder, value)


def read_type(value: msgspec.Raw | None) -> str | None:
    """The `type` of an object: of a part, a block or an item."""
    return decode_string((decode_object(value) or {}).get("type"))


def is_null(value: msgspec.Raw | None) -> bool:
    """Whether a value is null or missing."""
    return value is None or bytes(value).strip() == b"null"


def _begins_with(value: msgspec.Raw | None, first: bytes) -> bool:
    """Whether a value is of the type that begins with this byte. An error of the decoder would cost much more.

    JSON that was in a string may be empty.
    """
    return value is not None and memoryview(value)[:1] == first


def _try_decode(decoder: msgspec.json.Decoder[T], value: msgspec.Raw | None) -> T | None:
    if value is None:
        return None
    try:
        return decoder.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return (
            None  # another type, half of a surrogate pair, nested too deeply: left for the engine to reject
        )

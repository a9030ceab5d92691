"""A JSON body: its top level is parsed, its values keep their original bytes.

One pass over the bytes finds `model` and prepares rewriting, without decoding values. Images are not even scanned
(sparkd.rewriting.payloads).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TypeVar, cast

import msgspec

from sparkd.errors import InvalidRequest
from sparkd.rewriting.decoding import encode_raw
from sparkd.rewriting.encodings import BOM, check_utf8, reject_other_encodings
from sparkd.rewriting.payloads import NO_PAYLOADS, ExtractedPayloads, extract_payloads, restore_payloads
from sparkd.rewriting.surrogates import replace_lone_surrogates

T = TypeVar("T")

_fields_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
_name_decoder: msgspec.json.Decoder[str | None] = msgspec.json.Decoder(str | None)
_encoder = msgspec.json.Encoder()


class JsonBody:
    """A JSON object, immutable. `fields` holds each top-level value undecoded, `model` the model it names.

    If a key occurs twice, the last value counts, as in Python's `json`, which engines use. In the fields of a parsed
    body, long base64 payloads are cut out; `encode` puts them back. `is_repaired`: the body that was parsed had lone
    surrogates, which are replaced.
    """

    __slots__ = ("_derived", "_payloads", "_source", "fields", "is_repaired", "model")

    def __init__(
        self,
        fields: Mapping[str, msgspec.Raw],
        source: bytes | bytearray | None = None,
        payloads: ExtractedPayloads = NO_PAYLOADS,
    ) -> None:
        self.fields = fields
        self.model = _read_model(fields)
        self.is_repaired = False
        self._derived: dict[str, tuple[msgspec.Raw, object]] = {}
        self._source = source
        self._payloads = payloads

    @classmethod
    def parse(cls, data: bytes | bytearray, *, keep_payloads: bool = False) -> JsonBody:
        """Parse a body. Raises InvalidRequest if it is not a JSON object or `model` is not a string.

        `data` is kept and must not change later. `keep_payloads`: keep payloads in the fields, for display.
        """
        if not data:
            raise InvalidRequest("The request has no body; expected a JSON object.")
        rest, payloads = (data, NO_PAYLOADS) if keep_payloads else extract_payloads(data)
        if payloads.payloads or not rest.isascii():
            check_utf8(data, rest, payloads.payloads)
        try:
            return cls(_fields_decoder.decode(rest), data, payloads)
        except msgspec.ValidationError:
            raise InvalidRequest("The body is not a JSON object.") from None
        except RecursionError:
            raise InvalidRequest("The body is nested too deeply.") from None
        except msgspec.DecodeError as error:
            if data[:3] == BOM:
                return cls.parse(data[3:], keep_payloads=keep_payloads)
            reject_other_encodings(data)
            repaired = replace_lone_surrogates(data)
            if repaired != data:
                body = cls.parse(repaired, keep_payloads=keep_payloads)
                body.is_repaired = True
                return body
            raise InvalidRequest(f"The body is not JSON: {error}.") from None

    def with_field(self, name: str, value: object) -> JsonBody:
        """A body with one field set; every other value keeps its exact bytes."""
        return self.with_fields({name: value})

    def with_fields(self, values: Mapping[str, object]) -> JsonBody:
        """A body with these fields set; the same object if nothing changes."""
        new = {name: encode_raw(value) for name, value in values.items()}
        same = all(name in self.fields and self.fields[name] == value for name, value in new.items())
        if same:
            return self
        return self._replaced({**self.fields, **new})

    def with_new_field(self, name: str, value: object) -> JsonBody:
        """A body with one more field. An object that is not empty, and every byte of it, stays as it was."""
        raw, source = encode_raw(value), self._source
        if source is not None and self.fields and name not in self.fields:
            member = b',"%b":%b' % (name.encode(), bytes(raw))
            source = b"".join((memoryview(source)[: source.rfind(b"}")], member, b"}"))
        else:
            source = None
        return self._replaced({**self.fields, name: raw}, source)

    def without(self, names: Collection[str]) -> JsonBody:
        """A body without these fields; the same object if it has none of them."""
        if self.fields.keys().isdisjoint(names):
            return self
        remaining = {name: value for name, value in self.fields.items() if name not in names}
        return self._replaced(remaining)

    def derive(self, field: str, read: Callable[[msgspec.Raw], T]) -> T | None:
        """What `read` makes of a field's value: computed once, and kept for as long as the field is not set.

        None if the field is missing. A field must always be read by the same function.
        """
        value = self.fields.get(field)
        if value is None:
            return None
        known = self._derived.get(field)
        if known is None or known[0] is not value:
            known = self._derived[field] = (value, read(value))
        return cast("T", known[1])

    def restore_text(self, text: str) -> str:
        """A text from this body, with the payload that was cut out of it."""
        if not self._payloads.payloads:
            return text
        return restore_payloads(text.encode(), self._payloads).decode("utf-8", "replace")

    def encode(self) -> bytes | bytearray:
        """The bytes to send: the same object that was parsed, unless a field was set."""
        return (
            restore_payloads(_encoder.encode(self.fields), self._payloads)
            if self._source is None
            else self._source
        )

    def _replaced(
        self, fields: Mapping[str, msgspec.Raw], source: bytes | bytearray | None = None
    ) -> JsonBody:
        body = JsonBody(fields, source, self._payloads)
        body.is_repaired = self.is_repaired
        body._derived = self._derived  # each entry is checked against the value it was made of
        return body


def _read_model(fields: Mapping[str, msgspec.Raw]) -> str | None:
    value = fields.get("model")
    if value is None:
        return None
    try:
        return _name_decoder.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise InvalidRequest("`model` must be a string, the name of a model.", param="model") from None

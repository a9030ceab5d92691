"""Merges a chat's consecutive messages of one role into one.

The values of each field are collected and joined once, in the end: joining after each message would take time that
grows with the square of their number, and a client decides how many there are.
"""

from __future__ import annotations

import msgspec

from sparkd.rewriting.decoding import Fields, decode_array, decode_string, encode_raw, is_null

_TEXT_FIELDS = ("content", "reasoning_content", "reasoning")
_LIST_FIELDS = ("tool_calls",)


class MergedMessage:
    """A message, and those that were added to it."""

    def __init__(self, message: msgspec.Raw, fields: Fields) -> None:
        self._message = message
        self._values = {name: [value] for name, value in fields.items()}
        self._is_merged = False

    def add(self, fields: Fields) -> bool:
        """Add another message. False if a merge would lose something: nothing is added."""
        if not all(self._accepts(name, value) for name, value in fields.items()):
            return False
        self._is_merged = True
        for name, value in fields.items():
            if self._is_missing(name):
                self._values[name] = [value]
            elif not is_null(value) and name in (*_TEXT_FIELDS, *_LIST_FIELDS):
                self._values[name].append(value)
        return True

    def encode(self) -> msgspec.Raw:
        """The message: the same object if nothing was added."""
        if not self._is_merged:
            return self._message
        return encode_raw({name: _join(name, values) for name, values in self._values.items()})

    def _is_missing(self, name: str) -> bool:
        values = self._values.get(name)
        return values is None or is_null(values[0])

    def _accepts(self, name: str, value: msgspec.Raw) -> bool:
        if self._is_missing(name) or is_null(value):
            return True
        values = self._values[name]
        new = [value] if len(values) > 1 else [values[0], value]  # those of several were checked before
        if name in _TEXT_FIELDS:
            return all(list_parts(each) is not None for each in new)
        if name in _LIST_FIELDS:
            return all(decode_array(each) is not None for each in new)
        return value == values[0]


def list_parts(content: msgspec.Raw | None) -> list[msgspec.Raw] | None:
    """Content as parts; None if it is neither a string nor parts."""
    if is_null(content):
        return []
    text = decode_string(content)
    return decode_array(content) if text is None else [make_text_part(text)]


def make_text_part(text: str) -> msgspec.Raw:
    """A part that is a text."""
    return encode_raw({"type": "text", "text": text})


def _join(name: str, values: list[msgspec.Raw]) -> msgspec.Raw:
    if len(values) == 1:
        return values[0]
    if name in _LIST_FIELDS:
        return encode_raw([item for value in values for item in decode_array(value) or ()])
    texts: list[str] = []  # in front of the first parts
    for value in values:
        if (text := decode_string(value)) is None:
            break
        texts.append(text)
    if len(texts) == len(values):
        return encode_raw("\n\n".join(texts))
    parts = [make_text_part("\n\n".join(texts))] if texts else []
    return encode_raw(parts + [part for value in values[len(texts) :] for part in list_parts(value) or ()])

"""Finds one field of a form (multipart/form-data, RFC 7578) without reading more of it than needed."""

from __future__ import annotations

import re

from sparkd.errors import InvalidRequest

_boundary = re.compile(rb'boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))', re.IGNORECASE)
_name = re.compile(rb'(?:^|;)\s*name="?([^";]*)"?', re.IGNORECASE)

_LONGEST_HEAD = 16 * 1024
_LONGEST_VALUE = 1024


class FieldFinder:
    """Looks for a field in a form that arrives piece by piece. Each byte is examined once."""

    def __init__(self, content_type: bytes, field: bytes) -> None:
        """Raises InvalidRequest where the content type has no boundary."""
        found = _boundary.search(content_type)
        if found is None:
            raise InvalidRequest("The form's content type has no boundary.")
        self._delimiter = b"\r\n--" + (found[1] or found[2])
        self._field = field
        # The first delimiter has no line break before it if it is at the start.
        self._data = bytearray(b"\r\n")
        self._from = 0
        self._wanted = False
        self._value_at = 0
        self.value: bytes | None = None
        self.ended = False

    def feed(self, data: bytes) -> None:
        """Examine the next piece. Sets `value` once the field is found, `ended` at the end of the form."""
        self._data += data
        while not self.ended and self.value is None and self._step():
            continue

    def replaced(self, value: bytes) -> bytes:
        """Everything fed so far, with another value in the field if it has been found."""
        if self.value is None:
            return bytes(self._data[2:])
        end = self._value_at + len(self.value)
        return bytes(self._data[2 : self._value_at]) + value + bytes(self._data[end:])

    def _step(self) -> bool:
        """Advance past one delimiter and the head that follows; False when more data is needed."""
        at = self._data.find(self._delimiter, self._from)
        if at < 0:
            if self._wanted:
                self._check(len(self._data))
            self._from = max(self._from, len(self._data) - len(self._delimiter))
            return False
        if self._wanted:
            self._check(at)
            self.value = bytes(self._data[self._value_at : at])
            return False
        return self._read_head(at)

    def _check(self, end: int) -> None:
        if end - self._value_at > _LONGEST_VALUE:
            raise InvalidRequest("The form's `model` is too long.", param="model")

    def _read_head(self, at: int) -> bool:
        after = at + len(self._delimiter)
        if self._data.startswith(b"--", after):
            self.ended = True
            return False
        head_end = self._data.find(b"\r\n\r\n", after)
        if head_end < 0:
            if len(self._data) - after > _LONGEST_HEAD:
                raise InvalidRequest("The form is malformed.")
            self._from = at
            return False
        self._wanted = self._is_wanted(bytes(self._data[after:head_end]))
        self._value_at = head_end + 4
        self._from = head_end + 2  # an empty value has its delimiter right behind the head
        return True

    def _is_wanted(self, head: bytes) -> bool:
        for line in head.split(b"\r\n"):
            key, _, value = line.partition(b":")
            if key.strip().lower() == b"content-disposition":
                found = _name.search(value)
                return found is not None and found[1] == self._field
        return False

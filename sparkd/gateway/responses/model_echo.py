"""Puts the name that a client asked for into the answer of an engine, which knows its model by the id only.

Only the answer's own `model` is replaced: the member at the top of a JSON document, or of `response` (the events of
/v1/responses) or `message` (the first event of /v1/messages). A `model` further down may be generated, such as the
argument of a tool, and stays.

The events of a chat all begin with the same bytes, `data: ` up to and including their `model`. Replacing these bytes is
safe: a quote inside a JSON text is escaped, so they can only occur at the beginning of an event.
"""

from __future__ import annotations

from contextlib import suppress

import msgspec

from sparkd.gateway.responses.errors import Dialect

_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode

_KEY = b'"model":'
_INSIDE: dict[Dialect, str] = {"responses": "response", "anthropic": "message"}


class ModelEcho:
    """Replaces the model in one answer by `name`."""

    def __init__(self, name: str, dialect: Dialect) -> None:
        self._name = msgspec.Raw(_encode(name))
        self._dialect: Dialect = dialect
        self._inside = _INSIDE.get(dialect)
        self._wanted = self._engines = _KEY
        """What an event contains if it has to be looked at: the key, then also the engine's name."""
        self._beginning: tuple[bytes, bytes] | None = None
        """The first bytes of each event, before and after."""

    def in_document(self, document: bytes) -> bytes:
        """The document with its model replaced, or as it is."""
        if _KEY not in document:
            return document
        return self._replace(document) or document

    def in_events(self, lines: bytes) -> bytes:
        """Complete lines of an event stream with the model replaced in each event that has one."""
        known = self._beginning
        if known is not None:
            lines = lines.replace(*known)
        if self._wanted not in lines:
            return lines
        edited = []
        end = 0
        for line in lines.splitlines(keepends=True):
            edited.append(self._in_line(line))
            end += len(line)
            if self._beginning is not known:
                edited.append(self.in_events(lines[end:]))  # the rest is faster this way
                break
        return b"".join(edited)

    def _in_line(self, line: bytes) -> bytes:
        if self._wanted not in line or not line.startswith(b"data:"):
            return line
        at = line.find(b"{")
        payload = line[at:].rstrip()
        replaced = self._replace(payload) if at >= 0 else None
        if replaced is None:
            return line
        # With a blank after the colon, every event with a model has to be looked at.
        self._wanted = self._engines if self._engines in payload else _KEY
        if self._inside is None and self._wanted is not _KEY:
            self._remember(line[:at], payload)
        return line[:at] + replaced + line[at + len(payload) :]

    def _replace(self, document: bytes) -> bytes | None:
        """The document with another model; None if it has none, or the right one already."""
        with suppress(msgspec.DecodeError, UnicodeDecodeError):  # what cannot be read is not changed
            fields = _decode(document)
            if self._set(fields):
                return _encode(fields)
            inner = fields.get(self._inside or "")
            if inner is not None and bytes(inner)[:1] == b"{":
                inner_fields = _decode(inner)
                if self._set(inner_fields):
                    fields[self._inside or ""] = msgspec.Raw(_encode(inner_fields))
                    return _encode(fields)
        return None

    def _set(self, fields: dict[str, msgspec.Raw]) -> bool:
        model = fields.get("model")
        if model is None or bytes(model)[:1] != b'"' or model == self._name:
            return False
        self._engines = _KEY + bytes(model)
        fields["model"] = self._name
        return True

    def _remember(self, before: bytes, payload: bytes) -> None:
        """Keep the beginning of an event, if nothing that is nested comes before the model."""
        end = payload.find(self._wanted)
        head = payload[:end]
        if end > 0 and head[-1:] in (b",", b"{") and b"{" not in head[1:] and b"[" not in head:
            start = before + head
            self._beginning = start + self._wanted, start + _KEY + bytes(self._name)

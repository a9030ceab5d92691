"""Changes what has to be changed in the response of an engine, before it is written.

- A response with an error is collected, and written in the shape of the client's API.
- An event stream is edited line by line: errors in it, the name of the model if the client used another one, and the
  usage if sparkd has asked for it.
- A JSON document is collected if the client used another name for the model.

Everything else is written as it comes, and so is every response that the engine has compressed.
"""

from __future__ import annotations

import logging
from typing import Protocol

from sparkd.errors import EngineRejected
from sparkd.gateway.measuring.usage_filter import UsageFilter
from sparkd.gateway.request_head import RequestHead
from sparkd.gateway.responses.engine_errors import error_in_event, read_engine_error
from sparkd.gateway.responses.errors import error_body
from sparkd.gateway.responses.event_stream import EventStream
from sparkd.gateway.responses.model_echo import ModelEcho
from sparkd.upstream.connection import Flow, Sink
from sparkd.upstream.headers import Headers

MAX_ERROR = 1024 * 1024
"""Bytes of an error that are read; the rest is dropped."""

MAX_DOCUMENT = 32 * 1024 * 1024
"""Bytes. A longer document is not changed."""

_LOGGED = 64 * 1024
"""Bytes of an engine's error in the journal at log level debug."""

_REPLACED = frozenset({b"content-length", b"content-type"})

logger = logging.getLogger(__name__)


class Writer(Sink, Protocol):
    """Writes the response to one request."""

    request: RequestHead


class Answer:
    """The response to one request. `model` is the requested one; `echo` the name that the response must have for it.
    `usage_filter` takes out what the engine sends because sparkd has asked for the usage; None if it has not.

    `error` is what the engine answered, if it was an error.
    """

    error: EngineRejected | None = None
    _events: EventStream | None = None
    _held_head: tuple[int, Headers, Flow] | None = None

    def __init__(
        self, writer: Writer, model: str, echo: str | None, usage_filter: UsageFilter | None = None
    ) -> None:
        self._writer = writer
        self._usage_filter = usage_filter
        self._model = model
        self._echo = echo
        self._held: list[bytes] = []
        self._held_size = 0

    def redirect(self, writer: Writer) -> None:
        """Write to another writer from now on."""
        self._writer = writer

    def head(self, status: int, headers: Headers, flow: Flow) -> None:
        """Decide what to do with the body; write the head, or keep it until the length of the body is known."""
        content_type = b""
        is_encoded = has_length = False
        for name, value in headers:
            if name == b"content-type":
                content_type = value
            elif name == b"content-encoding":
                is_encoded = value != b"identity"
            elif name == b"content-length":
                has_length = True
        if not is_encoded and self._writer.request.method != b"HEAD":
            if status >= 400 or (self._echo is not None and status == 200 and b"json" in content_type):
                self._held_head = status, headers, flow
                return
            if not has_length and content_type.startswith(b"text/event-stream"):
                self._events = self._edit_events()
        self._writer.head(status, headers, flow)

    def body(self, data: bytes, *, more: bool) -> None:
        """Write a piece of the body, or keep it."""
        if self._events is not None:
            # Also without data: the head is written with the first piece.
            self._writer.body(self._events.feed(data, more=more), more=more)
            if not more:
                self.error = self._events.error
        elif self._held_head is None:
            self._writer.body(data, more=more)
        else:
            self._collect(data, *self._held_head, more=more)

    def _edit_events(self) -> EventStream:
        request = self._writer.request
        echo = ModelEcho(self._echo, request.dialect) if self._echo is not None else None
        return EventStream(request.dialect, request.identify(), echo, self._read_event, self._usage_filter)

    def _collect(self, data: bytes, status: int, headers: Headers, flow: Flow, *, more: bool) -> None:
        is_error = status >= 400
        if data and (not is_error or self._held_size < MAX_ERROR):
            self._held.append(data)
            self._held_size += len(data)
        if not more:
            body = b"".join(self._held)
            if is_error:
                body = self._error_body(status, body)
                headers = [*headers, (b"content-type", b"application/json")]
            elif self._echo is not None:
                body = ModelEcho(self._echo, self._writer.request.dialect).in_document(body)
            self._write(status, headers, flow, body, is_error=is_error)
        elif not is_error and self._held_size > MAX_DOCUMENT:
            self._held_head = None
            self._writer.head(status, headers, flow)
            self._writer.body(b"".join(self._held), more=True)

    def _write(self, status: int, headers: Headers, flow: Flow, body: bytes, *, is_error: bool) -> None:
        kept = [header for header in headers if header[0] not in _REPLACED]
        types = [header for header in headers if header[0] == b"content-type"]
        kept += types[-1:] if is_error else types
        self._writer.head(status, [*kept, (b"content-length", b"%d" % len(body))], flow)
        self._writer.body(body, more=False)

    # Errors

    def _error_body(self, status: int, body: bytes) -> bytes:
        request = self._writer.request
        self.error = read_engine_error(status, body, self._model, self._target)
        self._log(body)
        return error_body(self.error, request.dialect, request.identify())

    def _read_event(self, data: bytes) -> EngineRejected | None:
        error = error_in_event(data, self._model, self._target)
        if error is not None:
            self._log(data)
        return error

    @property
    def _target(self) -> str:
        request = self._writer.request
        return f"{request.method.decode()} {request.raw_path[:200].decode('latin-1')}"

    def _log(self, body: bytes) -> None:
        if logger.isEnabledFor(logging.DEBUG):
            identity = self._writer.request.identify().decode("latin-1")
            logger.debug("%s: the engine's error: %s", identity, body[:_LOGGED].decode("utf-8", "replace"))

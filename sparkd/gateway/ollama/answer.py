"""Writes the response of an engine as Ollama's, while it arrives."""

from __future__ import annotations

import time
from typing import Final

import msgspec

from sparkd.errors import EngineRejected, UpstreamError
from sparkd.gateway.responses.answer import Writer
from sparkd.gateway.responses.engine_errors import error_in_event, read_engine_error
from sparkd.gateway.responses.errors import error_body
from sparkd.ollama.answers import StreamTranslator, translate_document
from sparkd.ollama.requests import TranslatedRequest
from sparkd.ollama.times import Timing
from sparkd.upstream.connection import Flow
from sparkd.upstream.headers import Headers

NDJSON: Final = b"application/x-ndjson"
JSON: Final = b"application/json"

MAX_DOCUMENT: Final = 256 * 1024 * 1024
"""Bytes of a document, such as the embeddings of many texts. A longer one is an error."""

_REPLACED: Final = frozenset({b"content-length", b"content-type"})


class OllamaAnswer:
    """The response to one request for `model`. `error` is what the engine answered, if it was an error."""

    error: EngineRejected | None = None

    def __init__(self, request: TranslatedRequest, model: str, writer: Writer) -> None:
        self._request = request
        self._model = model
        self._writer = writer
        began = writer.request.began
        self._timing = Timing(time.time() - (time.monotonic() - began), began)
        self._stream: StreamTranslator | None = None
        self._held_head: tuple[int, Headers, Flow]
        self._held = bytearray()

    def redirect(self, writer: Writer) -> None:
        """Write to another writer from now on."""
        self._writer = writer

    def head(self, status: int, headers: Headers, flow: Flow) -> None:
        """Begin a stream, or keep the head until the length of the body is known."""
        self._timing.granted = self._writer.request.ready
        kept = [header for header in headers if header[0] not in _REPLACED]
        if status == 200 and dict(headers).get(b"content-type", b"").startswith(b"text/event-stream"):
            self._stream = StreamTranslator(self._request, self._timing, self._read_error)
            self._writer.head(status, [(b"content-type", NDJSON), *kept], flow)
        else:
            self._held_head = status, kept, flow

    def body(self, data: bytes, *, more: bool) -> None:
        """Translate a piece of a stream; keep one of a document until it is complete. Raises UpstreamError."""
        if self._stream is not None:
            self._writer.body(self._stream.feed(data, time.monotonic(), more=more), more=more)
            return
        self._held += data
        if len(self._held) > MAX_DOCUMENT:
            raise UpstreamError(f"the engine sent more than {MAX_DOCUMENT} bytes")
        if not more:
            self._write_document()

    def _write_document(self) -> None:
        status, headers, flow = self._held_head
        document = self._translate(status, bytes(self._held))
        length = b"%d" % len(document)
        self._writer.head(status, [(b"content-type", JSON), *headers, (b"content-length", length)], flow)
        self._writer.body(document, more=False)

    def _translate(self, status: int, document: bytes) -> bytes:
        if status >= 400:
            self.error = read_engine_error(status, document, self._model, self._target)
            return error_body(self.error, "ollama")
        try:
            return translate_document(self._request, document, self._timing, time.monotonic())
        except msgspec.DecodeError:
            raise UpstreamError("the engine sent a response that is not JSON") from None

    def _read_error(self, data: bytes) -> str | None:
        error = error_in_event(data, self._model, self._target)
        if error is None:
            return None
        self.error = error
        return error.message

    @property
    def _target(self) -> str:
        return f"POST /{'/'.join(self._request.path)}"

"""One forwarded request as it is measured, from its arrival to its end.

It is between the engine's connection and what writes the response, so that it sees what the engine sends, and no
heartbeats. Until the first token it looks for that; afterwards a piece of a stream costs no more than its length, and
what the pieces mean is read after the end.
"""

from __future__ import annotations

import time
from collections import deque
from typing import Final

from sparkd.gateway.lending import Lease
from sparkd.gateway.measuring.endpoints import find_endpoint_name
from sparkd.gateway.measuring.first_token import TokenFinder, choose_finder
from sparkd.gateway.measuring.tokens import TAIL, Tokens, read_tokens
from sparkd.gateway.preparation.prepared_request import PreparedRequest
from sparkd.gateway.request_head import RequestHead
from sparkd.upstream.connection import Flow, Sink
from sparkd.upstream.headers import Headers
from sparkd.usage.records import ANONYMOUS, Phase, RequestRecord

_BEGINNING: Final = 1024
"""Bytes of the beginning of a response that are kept."""

_PIECES: Final = 16
"""Pieces of the end of a response that are kept. The usage of a stream is one of the last three or four."""

_COUNTED: Final = 16 * 1024
"""Bytes of a stream after its first token in which events are counted. The number of later ones follows from their
size: the events of one stream are about equally long."""

_EVENT: Final = b"data:"
_STREAM: Final = b"text/event-stream"

_AT_ONCE: Final = 0.001
"""Seconds; a request that got its model within that time did not wait."""

CLIENT_GONE: Final = 499
"""Status of a request whose client had left."""

LONGEST_NAME: Final = 200
"""Characters of a name that a client chose, as it is recorded."""


class MeasuredRequest:
    """One request. All times are in seconds of the monotonic clock.

    `sink` gets what the engine sends. `began` is when it could ask for its model, `granted` when the model was ready
    for it, `first` when the first token came, `ended` its end; each is None before that. `last_phase` is its phase
    at its end. `status` and `code` are as in its record.
    """

    __slots__ = (
        "_beginning",
        "_counted_events",
        "_counted_size",
        "_find_token",
        "_pieces",
        "_size",
        "_unfinished",
        "began",
        "code",
        "ended",
        "first",
        "granted",
        "is_stream",
        "last_phase",
        "load_seconds",
        "prepared",
        "request",
        "sink",
        "status",
    )

    def __init__(self, request: RequestHead, prepared: PreparedRequest) -> None:
        self.request = request
        self.prepared = prepared
        self.sink: Sink | None = None
        self.began = time.monotonic()
        self.granted: float | None = None
        self.first: float | None = None
        self.ended: float | None = None
        self.load_seconds = 0.0
        self.is_stream = False
        self.last_phase: Phase = "queued"
        self.status = 0
        self.code = ""
        self._pieces: deque[bytes] = deque(maxlen=_PIECES)
        self._beginning = b""
        self._find_token: TokenFinder | None = None
        self._unfinished = b""
        self._size = self._counted_size = self._counted_events = 0

    # From the engine

    def head(self, status: int, headers: Headers, flow: Flow) -> None:
        """Pass on status and headers."""
        if status == 200:
            for name, value in headers:
                if name == b"content-type" and value.startswith(_STREAM):
                    self.is_stream = True
                    self._find_token = choose_finder(self.prepared.request.target)
        if self.sink is not None:
            self.sink.head(status, headers, flow)

    def body(self, data: bytes, *, more: bool) -> None:
        """Pass on a piece of the body, then measure it."""
        if self.sink is not None:
            self.sink.body(data, more=more)
        if not data:
            return
        if not self._beginning:
            self._beginning = data[:_BEGINNING]
        self._pieces.append(data if len(data) <= TAIL else data[-TAIL:])
        if self.is_stream:
            if self._find_token is not None:
                self._look_for_token(data, self._find_token)
            else:
                self._count(data)

    def _look_for_token(self, data: bytes, find_token: TokenFinder) -> None:
        data = self._unfinished + data if self._unfinished else data
        at = find_token(data)
        if at < 0:
            self._unfinished = b"" if data.endswith(b"\n") else data[-TAIL:]
            return
        self.first = time.monotonic()
        self._find_token = None
        self._unfinished = b""
        # Nothing before the event with the token counts.
        self._count(data[max(0, data.rfind(_EVENT, 0, at)) :])

    def _count(self, data: bytes) -> None:
        self._size += len(data)
        if self._counted_size < _COUNTED:
            self._counted_size = self._size
            self._counted_events += data.count(_EVENT)

    # What it shows

    @property
    def events(self) -> float:
        """About how many events with tokens have come."""
        if not self._counted_size:
            return 0.0
        return self._counted_events * self._size / self._counted_size

    def phase(self, lease: Lease) -> tuple[Phase, float]:
        """Its phase, and when that began."""
        if self.first is not None:
            return "decoding", self.first
        if self.granted is not None:
            return "prefill", self.granted
        load_began = lease.load_began()
        return ("queued", self.began) if load_began is None else ("loading", max(self.began, load_began))

    def grant(self, lease: Lease) -> None:
        """The model is ready for it."""
        if self.granted is None:
            self.granted = time.monotonic()
            self.load_seconds = lease.load_seconds(self.began, self.granted)

    def end(self, lease: Lease) -> None:
        """It ends now. The lease must not have been released yet."""
        self.last_phase = self.phase(lease)[0]
        self.ended = time.monotonic()
        self.sink = None
        if self.granted is None:
            self.load_seconds = lease.load_seconds(self.began, self.ended)

    def read_tokens(self) -> Tokens:
        """The tokens that the engine reported."""
        pieces = self._pieces
        end = pieces[0] if len(pieces) == 1 else b"".join(pieces)[-TAIL:]
        return read_tokens(self._beginning, end)

    def to_record(self, tokens: Tokens, epoch: float) -> RequestRecord:
        """Its record, after its end. `epoch` is what to add to the monotonic clock."""
        request, prepared = self.request, self.prepared
        began, ended = request.began, self.ended or request.began
        waited = (ended if self.granted is None else self.granted) - self.began
        if waited < _AT_ONCE:
            waited = 0.0
        load_seconds = min(self.load_seconds, waited)
        return RequestRecord(
            ended=round(ended + epoch, 3),
            id=request.fields[b"x-request-id"].decode("latin-1"),  # known since it was forwarded
            model=prepared.model.id,
            asked=(request.asked or "")[:LONGEST_NAME],
            client=request.key or ANONYMOUS,
            program=request.client.name,
            endpoint=find_endpoint_name(request.raw_path),
            status=self.status,
            code=self.code,
            gone=self.last_phase if self.status == CLIENT_GONE else None,
            streamed=self.is_stream or prepared.is_streamed,
            queue_seconds=waited - load_seconds,
            load_seconds=load_seconds,
            first_token_seconds=None if self.first is None else self.first - began,
            seconds=ended - began,
            tokens_in=tokens.tokens_in,
            tokens_cached=tokens.cached,
            tokens_out=tokens.tokens_out,
            rewrites=prepared.rewrites,
            heartbeats=request.heartbeats,
        )

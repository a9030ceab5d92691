"""Captures requests. Never on disk and never in a log; a stop, a replacement or the owner forgets everything.

While nothing is captured, a request costs a comparison with None.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from sparkd.gateway.capturing.shortening import LARGEST, shorten
from sparkd.gateway.preparation.prepared_request import PreparedRequest
from sparkd.gateway.request_head import RequestHead
from sparkd.journal.handler import event
from sparkd.upstream.connection import Flow, Sink
from sparkd.upstream.headers import Headers
from sparkd.usage.captured import CapturedBody, CapturedRequest, CaptureRule
from sparkd.usage.records import ANONYMOUS, RequestRecord

logger = logging.getLogger(__name__)

MOST: Final = 50
"""Requests that are kept."""

MOST_BYTES: Final = 64 * 1024 * 1024

MOST_OPEN: Final = 50
"""Requests in flight whose content is kept meanwhile."""

KEPT_AFTERWARDS: Final = 3600.0
"""Seconds after the end of a capture, when its requests are forgotten if the owner has not done it."""


class Captures:
    """The captured requests of one gateway. Belongs to one event loop.

    `rule` says whose requests are captured now, None for nobody's: the gateway looks at it for each request.
    """

    def __init__(self) -> None:
        self.rule: CaptureRule | None = None
        self._finished: list[CapturedRequest] = []
        self._open: dict[str, _Open] = {}
        self._ids = itertools.count(1)
        self._timers: list[asyncio.TimerHandle] = []

    # The owner

    def begin(self, seconds: float, *, client: str | None = None, model: str | None = None) -> CaptureRule:
        """Capture for so long from now on, instead of what was captured before."""
        self.forget()
        now = time.time()
        self.rule = rule = CaptureRule(began=now, until=now + seconds, client=client, model=model)
        loop = asyncio.get_running_loop()
        self._timers = [
            loop.call_later(seconds, self.end),
            loop.call_later(seconds + KEPT_AFTERWARDS, self.forget),
        ]
        logger.warning(
            "Capturing %s for %d min: what they contain is kept in memory",
            rule.subject,
            round(seconds / 60),
            extra=event("capture-began", model),
        )
        return rule

    def end(self) -> None:
        """Capture nothing more; what was captured stays for an hour."""
        if self.rule is None:
            return
        count = len(self._finished)
        logger.warning(
            "The capture of %s has ended: requests kept in memory: %d",
            self.rule.subject,
            count,
            extra=event("capture-ended", self.rule.model),
        )
        self.rule = None

    def forget(self) -> None:
        """End the capture, and forget what was captured."""
        self.end()
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        self._finished.clear()
        self._open.clear()

    @property
    def finished(self) -> list[CapturedRequest]:
        """What was captured, the newest first."""
        return self._finished[::-1]

    @property
    def size(self) -> int:
        """About the memory that it takes."""
        return sum(each.size for each in self._finished) + sum(each.size for each in self._open.values())

    def find(self, number: int) -> CapturedRequest | None:
        """One of them."""
        return next((each for each in self._finished if each.id == number), None)

    # The gateway

    def receive(self, request: RequestHead, data: bytes | bytearray) -> None:
        """A client has sent this body. Only the first body of a request counts: later ones are translations of it."""
        rule = self.rule
        if rule is None or not rule.concerns(request.key or ANONYMOUS, request.client.name, None):
            return
        name = _name(request)
        if name not in self._open:
            self._open[name] = _Open(rule, received=shorten(data))
            while len(self._open) > MOST_OPEN:
                del self._open[next(iter(self._open))]

    def forward(self, request: RequestHead, prepared: PreparedRequest) -> Tap | None:
        """What captures the response to a request that is forwarded now, None if it is not to be captured."""
        rule, name = self.rule, _name(request)
        if rule is None or not rule.concerns(
            request.key or ANONYMOUS, request.client.name, prepared.model.id
        ):
            self._open.pop(name, None)
            return None
        each = self._open.setdefault(name, _Open(rule))
        body = prepared.request.body
        if isinstance(body, bytes | bytearray):
            each.sent = shorten(body)
        each.tap = Tap()
        return each.tap

    def finish(self, records: Iterable[RequestRecord]) -> None:
        """These requests have ended."""
        if not self._open:
            return
        for record in records:
            each = self._open.pop(record.id, None)
            if each is not None and each.rule.concerns(record.client, record.program, record.model):
                self._finished.append(each.close(next(self._ids), record))
        while len(self._finished) > MOST or (self._finished and self.size > MOST_BYTES):
            del self._finished[0]


class Tap:
    """Passes the response of an engine on to `sink`, and keeps a copy."""

    def __init__(self) -> None:
        self.sink: Sink | None = None
        self.content = bytearray()
        self.size = 0

    def into(self, sink: Sink) -> Tap:
        """Pass everything on to this sink from now on."""
        self.sink = sink
        return self

    def head(self, status: int, headers: Headers, flow: Flow) -> None:
        """Pass on status and headers. After an attempt that failed, the response begins again."""
        self.content.clear()
        self.size = 0
        if self.sink is not None:
            self.sink.head(status, headers, flow)

    def body(self, data: bytes, *, more: bool) -> None:
        """Keep a piece of the body, and pass it on."""
        self.size += len(data)
        if len(self.content) < LARGEST:
            self.content += data[: LARGEST - len(self.content)]
        if self.sink is not None:
            self.sink.body(data, more=more)

    def close(self) -> CapturedBody | None:
        """What was kept."""
        self.sink = None
        if not self.size:
            return None
        body = shorten(self.content, self.size)
        is_cut = body.cut or self.size > len(self.content)
        return CapturedBody(text=body.text, size=self.size, cut=is_cut)


class _Open(Struct):
    """A request that has not ended, and the rule by which it is captured."""

    rule: CaptureRule
    received: CapturedBody | None = None
    sent: CapturedBody | None = None
    tap: Tap | None = None

    @property
    def size(self) -> int:
        bodies = sum(len(body.text) for body in (self.received, self.sent) if body is not None)
        return bodies + (len(self.tap.content) if self.tap is not None else 0)

    def close(self, number: int, record: RequestRecord) -> CapturedRequest:
        return CapturedRequest(
            id=number,
            ended=record.ended,
            request=record.id,
            model=record.model,
            asked=record.asked,
            client=record.client,
            program=record.program,
            endpoint=record.endpoint,
            status=record.status,
            code=record.code,
            seconds=record.seconds,
            rewrites=record.rewrites,
            received=self.received,
            sent=self.sent,
            response=self.tap.close() if self.tap is not None else None,
        )


def _name(request: RequestHead) -> str:
    return request.identify().decode("latin-1")

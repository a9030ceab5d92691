"""What the journal has of single requests: those that were not answered as asked for. `REQUEST_ID=` finds them.

An answer that went well is a debug line, as is a client that left. Nothing here says what was asked: no body, no query,
no header but the id.
"""

from __future__ import annotations

import logging
import time
from typing import Final

from sparkd.errors import Refusal, RequestError, SparkdError, UpstreamError
from sparkd.gateway.request import Request
from sparkd.journal.handler import event
from sparkd.journal.token_bucket import TokenBucket

journal = logging.getLogger("sparkd.gateway")

RATE: Final = 10.0
BURST: Final = 200.0
"""Lines a second, and at once: a client that repeats its mistake for ever must not push out what else is told."""

LONGEST: Final = 300
"""Characters of an error's message, which may name what a client sent, and of a path."""


class Incidents:
    """Tells the journal; what is too much is counted, and the next line says how many that were."""

    def __init__(self) -> None:
        self._rate_limit = TokenBucket(RATE, BURST)
        self._untold = 0

    def refused(self, request: Request, error: SparkdError) -> None:
        """The client got an error and nothing else: a refusal is its own or the queue's doing, a failure is not."""
        name = "refused" if isinstance(error, RequestError | Refusal) else "failed"
        self._tell(request, name, error.status, error.code, error.message)

    def cut(self, request: Request, error: SparkdError) -> None:
        """The answer had begun, and its rest will not come."""
        self._tell(request, "cut", error.status, error.code, error.message)

    def answered(self, request: Request, status: int) -> None:
        """The engine has said all it had to say, with this status."""
        if status >= 500:
            self._tell(request, "failed", status, UpstreamError.code, f"the engine answered {status}")
        elif journal.isEnabledFor(logging.DEBUG):
            extra = _fields(request, "answered", STATUS=status)
            journal.debug("%s: answered %d", _what(request), status, extra=extra)

    def left(self, request: Request) -> None:
        """The client has gone before it had all of its answer."""
        if journal.isEnabledFor(logging.DEBUG):
            journal.debug("%s: the client left", _what(request), extra=_fields(request, "left"))

    def _tell(self, request: Request, name: str, status: int, code: str, why: str) -> None:
        if not self._rate_limit.try_take():
            self._untold += 1
            return
        more = f" ({self._untold} other requests went untold)" if self._untold else ""
        self._untold = 0
        why = " ".join(why[:LONGEST].split()) + " …" * (len(why) > LONGEST)
        level = logging.INFO if status < 500 else logging.WARNING
        fields = _fields(request, name, STATUS=status, CODE=code)
        journal.log(level, "%s: %s: %s%s", _what(request), name, why, more, extra=fields)


def _what(request: Request) -> str:
    """One request in a line that people read, also where nobody keeps its fields."""
    path = request.raw_path[:LONGEST].decode("latin-1")
    model = f" for {request.model}" if request.model else ""
    return f"{request.method.decode()} {path}{model} (request {request.identify().decode()})"


def _fields(request: Request, name: str, **more: object) -> dict[str, dict[str, object]]:
    took = round((time.monotonic() - request.began) * 1000)
    return event(name, request.model, REQUEST_ID=request.identify().decode(), DURATION_MS=took, **more)

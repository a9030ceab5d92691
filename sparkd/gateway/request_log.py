"""Logs requests that failed to the journal, where `REQUEST_ID=` finds them.

A request that succeeded is a debug line, as is a client that disconnected. No line has the body, the query or any
header but the id.
"""

from __future__ import annotations

import logging
import time
from typing import Final

from sparkd.errors import ModelNotLoaded, Refusal, RequestError, SparkdError, UpstreamError
from sparkd.gateway.request_head import RequestHead
from sparkd.journal.handler import event
from sparkd.journal.token_bucket import TokenBucket

logger = logging.getLogger(__name__)

RATE: Final = 10.0
BURST: Final = 200.0
"""Lines a second, and at once: a client that repeats its mistake forever must not push out other lines."""

LONGEST: Final = 300
"""Characters of an error's message, which may quote the client, and of a path."""


class RequestLog:
    """Logs requests to the journal. Lines beyond the rate are counted, and the next line has their number."""

    def __init__(self) -> None:
        self._rate_limit = TokenBucket(RATE, BURST)
        self._suppressed = 0

    def refused(self, request: RequestHead, error: SparkdError) -> None:
        """The client got an error. It was refused if the request or the queue caused that, otherwise it failed."""
        name = "refused" if isinstance(error, RequestError | Refusal) else "failed"
        self._write(request, name, error.status, error.code, error.message)

    def interrupted(self, request: RequestHead, error: SparkdError) -> None:
        """The response had started and was interrupted."""
        self._write(request, "interrupted", error.status, error.code, error.message)

    def answered(self, request: RequestHead, status: int, error: SparkdError | None = None) -> None:
        """The engine's response is complete, with this status. `error` is the one that it reported, if any.

        Its message is not logged: engines quote the request in it.
        """
        if status >= 500:
            self._write(request, "failed", status, UpstreamError.code, f"the engine answered {status}")
        elif status < 400 and error is not None:
            why = "the engine reported an error in its stream"
            self._write(request, "failed", error.status, error.code, why)
        elif logger.isEnabledFor(logging.DEBUG):
            extra = _fields(request, "answered", STATUS=status)
            logger.debug("%s: answered %d", _describe(request), status, extra=extra)

    def disconnected(self, request: RequestHead) -> None:
        """The client disconnected before its response was complete."""
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug(
                "%s: the client disconnected", _describe(request), extra=_fields(request, "disconnected")
            )

    def _write(self, request: RequestHead, name: str, status: int, code: str, why: str) -> None:
        if not self._rate_limit.try_take():
            self._suppressed += 1
            return
        more = f" ({self._suppressed} other requests were not logged)" if self._suppressed else ""
        self._suppressed = 0
        why = " ".join(why[:LONGEST].split()) + " …" * (len(why) > LONGEST)
        # A probe of a model that is not loaded gets what the owner has chosen for it (`queue.probes`).
        is_expected = status < 500 or code == ModelNotLoaded.code
        level = logging.INFO if is_expected else logging.WARNING
        fields = _fields(request, name, STATUS=status, CODE=code)
        logger.log(level, "%s: %s: %s%s", _describe(request), name, why, more, extra=fields)


def _describe(request: RequestHead) -> str:
    """A request as a sentence, for readers of a journal without fields."""
    path = request.raw_path[:LONGEST].decode("latin-1")
    model = f" for {request.model}" if request.model else ""
    return f"{request.method.decode()} {path}{model} (request {request.identify().decode()})"


def _fields(request: RequestHead, name: str, **more: object) -> dict[str, dict[str, object]]:
    took = round((time.monotonic() - request.began) * 1000)
    return event(name, request.model, REQUEST_ID=request.identify().decode(), DURATION_MS=took, **more)

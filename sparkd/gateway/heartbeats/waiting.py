"""One response whose request has to wait: heartbeats until the engine's first byte, then what the engine sends.

It is between the engine's response and the client's `ResponseWriter`. Until the first heartbeat, it passes everything
on. The first heartbeat sends the status 200, so that every later error has to be written into the body.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from sparkd.catalog.heartbeat import Heartbeat
from sparkd.errors import EngineRejected, SparkdError, UpstreamError
from sparkd.gateway.heartbeats.choice import choose_format, choose_style
from sparkd.gateway.heartbeats.formats import EVENT_STREAM, Facts, Format
from sparkd.gateway.heartbeats.opening import Opening
from sparkd.gateway.preparation.prepared_request import PreparedRequest
from sparkd.gateway.responses.response_writer import ResponseWriter
from sparkd.scheduling.forecast import Forecast
from sparkd.scheduling.forecast_text import describe_forecast
from sparkd.upstream.client import EngineRequest
from sparkd.upstream.connection import Flow
from sparkd.upstream.headers import Headers


class EngineAnswer(Protocol):
    """What reads the engine's response. `error` is what the engine answered, if it was an error."""

    error: EngineRejected | None


class WaitingResponse:
    """Writes to `writer` for one waiting request. `forecast` returns what it waits for; `engine` reads its response.

    `is_sent`: the engine has the request, and has been silent for long enough. Call `close` in the end.
    """

    engine: EngineAnswer | None = None

    def __init__(
        self,
        writer: ResponseWriter,
        prepared: PreparedRequest,
        settings: Heartbeat,
        forecast: Callable[[], Forecast],
        *,
        is_sent: bool = False,
    ) -> None:
        self.request = writer.request
        self._writer = writer
        self._prepared = prepared
        self._settings = settings
        self._forecast = forecast
        self._format: Format | None = None
        self._opening: Opening | None = None
        self._is_sent = is_sent
        self._is_rejected = False
        self._has_passed = False
        self._timer: asyncio.TimerHandle | None = None
        self._style = choose_style(settings, prepared.model, self.request.client)
        if self._style != "off" or settings.blanks:
            self._set_timer(0 if is_sent else settings.after)

    # Heartbeats

    def _set_timer(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self._send_heartbeat)

    def close(self) -> None:
        """Send no more heartbeats, and forget the engine, which knows this response."""
        self._stop()
        self.engine = None

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _send_heartbeat(self) -> None:
        format_ = self._format or self._begin()
        if format_ is None:
            self._timer = None
            return
        self._set_timer(self._settings.interval)
        if not self._writer.is_blocked:  # otherwise heartbeats would pile up for a client that does not read
            self._writer.body(format_.heartbeat(self._describe_progress()), more=True)
            self.request.heartbeats += 1

    def _begin(self) -> Format | None:
        """Send the head, unless the engine has sent one; None if the response can have no heartbeats."""
        facts = Facts(
            self.request.identify(), self._prepared.echo or self._prepared.model.id, self.request.dialect
        )
        format_ = choose_format(
            self._prepared, self._style, facts, blanks=self._settings.blanks, is_sent=self._is_sent
        )
        if format_ is None or (self._writer.started and not self._writer.is_stream):
            return None
        if not self._writer.started:
            headers = [(b"content-type", format_.content_type), (b"cache-control", b"no-cache, no-transform")]
            self._writer.head(200, headers, None)
        self._format = format_
        if format_.content_type.startswith(EVENT_STREAM):
            self._opening = Opening(format_.edit_opening)
        return format_

    def _describe_progress(self) -> str:
        forecast = self._forecast()
        if forecast.stage == "ready":
            return f"{forecast.model} is reading the prompt."
        return describe_forecast(forecast)

    # The engine's response

    def adapt(self, request: EngineRequest) -> EngineRequest:
        """The request to send to the engine, so that its response continues the heartbeats."""
        self._is_sent = True
        return request if self._format is None else self._format.adapt(request)

    def head(self, status: int, headers: Headers, flow: Flow) -> None:
        """Take status and headers. Raises UpstreamError if the body cannot continue what has begun."""
        if self._format is None:
            self._writer.head(status, headers, flow)
            return
        content_type = next((value for name, value in headers if name == b"content-type"), b"")
        self._is_rejected = status >= 400
        self._writer.continue_with(status, flow)
        expected = self._format.content_type.partition(b";")[0]
        if not self._is_rejected and not content_type.startswith(expected):
            found = content_type[:100].decode("latin-1") or "no content type"
            raise UpstreamError(f"the engine responded with {found} instead of {expected.decode()}")

    def body(self, data: bytes, *, more: bool) -> None:
        """Write a piece of the body."""
        if data or not more:
            self._stop()
        if self._is_rejected:
            if not more and self.engine is not None and self.engine.error is not None:
                self.end_with(self.engine.error)
            return
        if self._opening is not None:
            data = self._opening.feed(data, more=more)
        self._has_passed = self._has_passed or bool(data)
        self._writer.body(data, more=more)

    # Errors

    @property
    def is_only_heartbeats(self) -> bool:
        """Whether the client has got heartbeats and nothing of an engine."""
        return self._format is not None and not self._has_passed

    def end_with(self, error: SparkdError) -> None:
        """End a response that has only heartbeats with an error."""
        if self._format is not None:
            self._writer.end_with(self._format.error(error))

"""One request on its way to an engine and back.

The lease of its model covers the whole response. Three things end it early: the client disconnects (the request leaves
the queue, or its engine connection is closed, at once), the engine breaks off, or the queue refuses the request.

`start` does all of it from callbacks, without a task, if nothing has to be waited for: the model is ready and a
connection to its engine is idle. `run` does everything else, and can continue where `start` stopped.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, cast

from sparkd.errors import SparkdError, UpstreamError
from sparkd.gateway.capturing.captures import Tap
from sparkd.gateway.heartbeats.silence import SilenceWatch
from sparkd.gateway.heartbeats.waiting import WaitingResponse
from sparkd.gateway.lending import Lease
from sparkd.gateway.measuring.measured_request import CLIENT_GONE
from sparkd.gateway.measuring.recorder import Recorder
from sparkd.gateway.measuring.usage_filter import UsageFilter
from sparkd.gateway.preparation.body import Upload
from sparkd.gateway.preparation.prepared_request import PreparedRequest
from sparkd.gateway.preparation.translation import TranslatedAnswer
from sparkd.gateway.request_log import RequestLog
from sparkd.gateway.responses.answer import Answer, Writer
from sparkd.gateway.responses.public_errors import public_error
from sparkd.gateway.responses.response_writer import ResponseWriter
from sparkd.upstream.connection import Connection, EngineUnreachable, StaleConnection

HTTP_ERROR = 400
"""The lowest status of an error."""

FORWARDING = "forwarding"
"""Key of `scope["state"]` under which the application finds a forwarding that was begun without it."""


class Forwarding:
    """Forwards one prepared request. Until it ends, it is the `observer` of its client's connection.

    `silence` finds it if its engine sends nothing, and has the settings of heartbeats. `recorder` measures it,
    and `tap` keeps what the engine sends, if the owner captures the request.
    """

    def __init__(
        self,
        prepared: PreparedRequest,
        lease: Lease,
        writer: ResponseWriter,
        log: RequestLog,
        silence: SilenceWatch,
        *,
        recorder: Recorder,
        tap: Tap | None = None,
    ) -> None:
        self._prepared = prepared
        self._tap = tap
        self._lease = lease
        self._writer = writer
        self._recorder = recorder
        self._measured = recorder.begin(writer.request, prepared, self, lease)
        self._answer = self._make_answer(writer)
        self._log = log
        self._silence = silence
        self._waiting: WaitingResponse | None = None
        self._exchange: Connection | None = None
        self._task: asyncio.Task[Any] | None = None
        self._error: Exception | None = None
        self._sent = False
        self._disconnected = False
        self._cancelled: SparkdError | None = None
        writer.client.observer = self
        writer.extra = writer.request.own_headers()
        if prepared.rewrites:
            writer.extra.append((b"x-sparkd-rewrites", ", ".join(prepared.rewrites).encode()))
        if prepared.is_substitute or prepared.is_chosen:
            writer.extra.append((b"x-sparkd-served-by", prepared.model.id.encode()))

    def _make_answer(self, writer: Writer) -> TranslatedAnswer:
        prepared = self._prepared
        answer: TranslatedAnswer
        if prepared.translation is not None:
            answer = prepared.translation.answer(writer)
        else:
            usage_filter = UsageFilter(prepared.model.engine) if prepared.asks_usage else None
            answer = Answer(writer, prepared.model.id, prepared.echo, usage_filter)
        self._measured.sink = answer if self._tap is None else self._tap.into(answer)
        return answer

    # Without waiting

    def start(self) -> bool:
        """Send the request to its engine if that is possible at once; otherwise the application calls `run`.

        Raises ModelNotFound and ModelDisabled if a reload has removed the model meanwhile.
        """
        try:
            if self._prepared.deferred_count is None and self._lease.request():
                self._measured.granted = self._measured.began
                self._exchange = self._lease.upstream.try_exchange(
                    self._prepared.request, self._measured, self._engine_ended
                )
                if self._exchange is not None:
                    self._sent = True
                    self._silence.add(self)
        except Exception:
            self._abandon()
            raise
        if self._exchange is None:
            self._writer.cycle.scope["state"][FORWARDING] = self
        return self._exchange is not None

    def _engine_ended(self, error: Exception | None) -> None:
        self._exchange = None
        if error is not None and not self._writer.started:
            # Nothing was sent yet: the application sends the request again where that is safe, or an error.
            self._error = None if isinstance(error, StaleConnection) else error
            self._writer.cycle.scope["state"][FORWARDING] = self
            self._writer.client.start_application(self._writer)
        elif error is not None or self._writer.complete:
            self._finish(error)

    @property
    def began(self) -> float:
        """When the request arrived, in seconds of the monotonic clock."""
        return self._writer.request.began

    def break_silence(self) -> None:
        """Send heartbeats from now on, unless the body of the response has begun."""
        if self._exchange is not None and not self._writer.has_body:
            waiting = self._make_waiting(is_sent=True)
            waiting.engine = self._answer
            self._answer.redirect(waiting)

    # The client

    def client_disconnected(self) -> None:
        """End everything that is done for this client."""
        self._disconnected = True
        if self._task is not None:
            self._task.cancel()
        else:
            if self._exchange is not None:
                self._exchange.abort()
            self._finish(None)

    def client_writable(self) -> None:
        """Write what was kept while the client was slow."""
        self._writer.flush()
        if self._writer.complete and self._task is None:
            self._finish(None)

    # The owner

    def cancel(self, error: SparkdError) -> None:
        """End the request now. The client gets the error, unless it does not read."""
        self._cancelled = error
        if self._writer.is_blocked:
            self._writer.client.transport.abort()
        elif self._task is not None:
            self._task.cancel()
        elif self._exchange is not None:
            self._exchange.abort()
            self._engine_ended(error)
        else:
            self._error = error  # `run` is about to begin

    # With waiting

    async def run(self) -> None:
        """Forward the request; returns when its response is complete, or the client has disconnected.

        Raises SparkdError only as long as nothing of a response has been sent.
        """
        if self._client_is_gone():
            return
        self._task = task = cast("asyncio.Task[Any]", asyncio.current_task())
        error: Exception | None = None
        try:
            await self._exchange_when_ready()
        except asyncio.CancelledError:
            error = self._cancelled
            if error is None and not self._client_is_gone():
                self._release()
                self._recorder.cut(self._measured)
                raise
            task.uncancel()  # the cancellation has done its work
        except Exception as failure:  # noqa: BLE001  # raised below, or written into the response
            error = failure
        if error is not None and not self._writer.started and not self._client_is_gone():
            self._abandon(self._outcome(error))
            raise error
        self._finish(error)

    def _client_is_gone(self) -> bool:
        return self._disconnected

    async def _exchange_when_ready(self) -> None:
        if self._error is not None:
            raise self._error
        waiting = self._begin_waiting()
        await self._lease.wait()
        self._writer.request.ready = time.monotonic()
        self._measured.grant(self._lease)
        request = self._prepared.request
        if self._prepared.deferred_count is not None:
            request = await self._prepared.deferred_count.apply(self._lease.upstream, request)
        await self._lease.upstream.exchange(waiting.adapt(request), self._measured)
        await self._writer.flushed()

    def _begin_waiting(self) -> WaitingResponse:
        waiting = self._make_waiting()
        self._answer = waiting.engine = self._make_answer(waiting)
        return waiting

    def _make_waiting(self, *, is_sent: bool = False) -> WaitingResponse:
        if self._waiting is not None:
            self._waiting.close()
        self._waiting = WaitingResponse(
            self._writer, self._prepared, self._silence.settings, self._lease.forecast, is_sent=is_sent
        )
        return self._waiting

    # The end

    def _finish(self, error: Exception | None) -> None:
        """Release what is held, log and record the outcome, end the response."""
        self._release(self._outcome(error))
        request = self._writer.request
        if self._disconnected:
            self._log.disconnected(request)
            self._record_disconnect()
            return
        if error is None:
            self._log.answered(request, self._writer.status, self._answer.error)
            self._record_answer()
        else:
            public = public_error(error, f"response of {self._prepared.model.id}", request)
            self._end_with(public)
            self._recorder.end(self._measured, public.status, public.code)
        self._writer.end()

    def _record_disconnect(self) -> None:
        if self._cancelled is not None:
            self._recorder.end(self._measured, self._cancelled.status, self._cancelled.code)
        else:
            self._recorder.end(self._measured, CLIENT_GONE)

    def _record_answer(self) -> None:
        """Record a complete response, which may be, or end with, an error of the engine."""
        error, status = self._answer.error, self._writer.status
        if error is not None:
            self._recorder.end(self._measured, error.status, error.code)
        else:
            code = UpstreamError.code if status >= HTTP_ERROR else ""
            self._recorder.end(self._measured, status, code)

    def _abandon(self, status: int = 0) -> None:
        """Release what is held. The client gets an error from the application, or the request is forwarded again."""
        self._release(status)
        self._recorder.abandon(self._measured)

    def _end_with(self, error: SparkdError) -> None:
        waiting = self._waiting
        if waiting is not None and waiting.is_only_heartbeats:
            self._log.refused(self._writer.request, error)
            waiting.end_with(error)
        else:
            self._log.interrupted(self._writer.request, error)
            self._writer.break_off(error)

    def _outcome(self, error: Exception | None) -> int:
        """Status of a complete response; 502 if the engine broke off, 0 if the request was cancelled or not sent."""
        if self._disconnected:
            return 0
        if error is None:
            return self._writer.outcome
        was_sent = isinstance(error, UpstreamError) and (
            self._sent or not isinstance(error, EngineUnreachable)
        )
        return UpstreamError.status if was_sent else 0

    def _release(self, status: int = 0) -> None:
        self._writer.client.observer = None
        self._silence.remove(self)
        if self._waiting is not None:
            self._waiting.close()
        self._measured.end(self._lease)
        self._lease.release(status)
        if (counted := self._writer.request.counted) is not None:
            counted.release()
        if isinstance(self._prepared.request.body, Upload):
            self._prepared.request.body.close()

"""Finished requests: kept until they are handed on in batches, so that a request does not wait for that."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Container
from typing import Final

from sparkd.errors import ShuttingDown
from sparkd.gateway.lending import Lease
from sparkd.gateway.measuring.active_requests import ActiveRequests, Cancellable
from sparkd.gateway.measuring.endpoints import find_endpoint_name
from sparkd.gateway.measuring.measured_request import LONGEST_NAME, MeasuredRequest
from sparkd.gateway.measuring.token_rates import TokenRates
from sparkd.gateway.preparation.prepared_request import PreparedRequest
from sparkd.gateway.request_head import RequestHead
from sparkd.usage.records import ANONYMOUS, OTHER, RequestRecord

logger = logging.getLogger(__name__)

INTERVAL: Final = 0.5
"""Seconds: the longest time that a finished request is not handed on."""

BATCH: Final = 200
"""Requests in a batch. Between two batches, others get their turn."""

Sink = Callable[[list[RequestRecord]], None]
"""Takes finished requests, the oldest first. It must not take long, and not fail."""


class Recorder:
    """Records the requests of one gateway. `is_kept` returns whether records may be written to the disk.

    `active` has the requests in flight. Belongs to one event loop.
    """

    def __init__(self, is_kept: Callable[[], bool] = lambda: True) -> None:
        self._is_kept = is_kept
        self._sinks: list[tuple[Sink, bool]] = []
        self._finished: list[MeasuredRequest | RequestRecord] = []
        self._has_finished = asyncio.Event()
        self._rates = TokenRates()
        self.active = ActiveRequests(self._rates)

    def subscribe(self, sink: Sink, *, keeps: bool = False) -> None:
        """Hand finished requests to `sink`, too. `keeps`: it writes them to the disk, so `[usage] record` applies."""
        self._sinks.append((sink, keeps))

    def use_models(self, models: Container[str]) -> None:
        """Forget what was learned of models that are not among these."""
        self._rates.forget_others(models)

    # Forwarded requests

    def begin(
        self, request: RequestHead, prepared: PreparedRequest, forwarding: Cancellable, lease: Lease
    ) -> MeasuredRequest:
        """Measure a request from now on. `end` or `abandon` must follow."""
        request.measured = None  # of an earlier try
        measured = MeasuredRequest(request, prepared)
        self.active.add(measured, forwarding, lease)
        return measured

    def end(self, measured: MeasuredRequest, status: int, code: str = "") -> None:
        """The request has ended: its client got this status."""
        self.active.remove(measured)
        measured.status, measured.code = status, code
        self._add(measured)

    def abandon(self, measured: MeasuredRequest) -> None:
        """The request is not forwarded. If its client gets an error, `record` records that."""
        self.active.remove(measured)
        measured.request.measured = measured

    def cut(self, measured: MeasuredRequest) -> None:
        """Sparkd stops, and ends the request."""
        self.end(measured, ShuttingDown.status, ShuttingDown.code)

    # Other requests

    def record(self, request: RequestHead, status: int, code: str = "") -> None:
        """A request has ended, and no engine responded to it. It is recorded if it was meant for a model."""
        measured, request.measured = request.measured, None
        if measured is not None:
            self.end(measured, status, code)
            return
        endpoint = find_endpoint_name(request.raw_path)
        if endpoint == OTHER and request.model is None:
            return
        now = time.monotonic()
        self._add(
            RequestRecord(
                ended=round(now + self.active.epoch, 3),
                id=request.identify().decode("latin-1"),
                model=request.model or OTHER,
                asked=(request.asked or "")[:LONGEST_NAME],
                client=request.key or ANONYMOUS,
                program=request.client.name,
                endpoint=endpoint,
                status=status,
                code=code,
                seconds=now - request.began,
            )
        )

    # Handing on

    async def run(self) -> None:
        """Hand finished requests on, until it is cancelled. Sleeps while there are none."""
        while True:
            await self._has_finished.wait()
            await asyncio.sleep(INTERVAL)
            while self._finished:
                self._hand_on(BATCH)
                await asyncio.sleep(0)

    def flush(self) -> None:
        """Hand on everything that has finished by now."""
        while self._finished:
            self._hand_on(BATCH)

    def _add(self, finished: MeasuredRequest | RequestRecord) -> None:
        if not self._finished:
            self._has_finished.set()
        self._finished.append(finished)

    def _hand_on(self, most: int) -> None:
        finished = self._finished[:most]
        del self._finished[:most]
        if not self._finished:
            self._has_finished.clear()
        epoch = self.active.epoch
        records = [self._make_record(each, epoch) for each in finished]
        is_kept = self._is_kept()
        for sink, keeps in self._sinks:
            if is_kept or not keeps:
                self._pass(sink, records)

    def _make_record(self, finished: MeasuredRequest | RequestRecord, epoch: float) -> RequestRecord:
        if isinstance(finished, RequestRecord):
            return finished
        tokens = finished.read_tokens()
        self._rates.learn(finished, tokens.tokens_out)
        return finished.to_record(tokens, epoch)

    def _pass(self, sink: Sink, records: list[RequestRecord]) -> None:
        try:
            sink(records)
        except Exception:  # a bug in statistics must not cost requests
            logger.exception("Bug in sparkd: %d records of requests are lost", len(records))

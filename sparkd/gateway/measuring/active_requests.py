"""The requests in flight: those that wait for their model, and those that are being answered."""

from __future__ import annotations

import time
from collections import deque
from itertools import islice
from typing import Final, Protocol

from msgspec import Struct

from sparkd.catalog.nearest import did_you_mean
from sparkd.errors import RequestCancelled, RequestNotFound, SparkdError
from sparkd.gateway.lending import Lease
from sparkd.gateway.measuring.endpoints import find_endpoint_name
from sparkd.gateway.measuring.measured_request import LONGEST_NAME, MeasuredRequest
from sparkd.gateway.measuring.token_rates import TokenRates
from sparkd.usage.active import ActiveRequest
from sparkd.usage.records import ANONYMOUS

SPEED_WINDOW: Final = 5.0
"""Seconds over which the speed of a response is measured."""

_SAMPLE_INTERVAL: Final = 0.2


class Cancellable(Protocol):
    """What forwards a request."""

    def cancel(self, error: SparkdError) -> None:
        """End it now. The client gets the error."""
        ...


class _Active(Struct):
    """What belongs to one request. `samples`: when it was looked at, and its tokens by then; None if it never was."""

    forwarding: Cancellable
    lease: Lease
    samples: deque[tuple[float, float]] | None = None


class ActiveRequests:
    """All requests in flight, the oldest first. `rates` estimates the tokens of their streams."""

    def __init__(self, rates: TokenRates) -> None:
        self._rates = rates
        self._requests: dict[MeasuredRequest, _Active] = {}
        self._epoch = time.time() - time.monotonic()

    def __len__(self) -> int:
        return len(self._requests)

    def add(self, measured: MeasuredRequest, forwarding: Cancellable, lease: Lease) -> None:
        """Add a request."""
        self._requests[measured] = _Active(forwarding, lease)

    def remove(self, measured: MeasuredRequest) -> None:
        """Remove a request that has ended. More calls change nothing."""
        self._requests.pop(measured, None)

    @property
    def epoch(self) -> float:
        """What to add to the monotonic clock for seconds since 1970. It changes only if the wall clock was set."""
        epoch = time.time() - time.monotonic()
        if abs(epoch - self._epoch) > 1.0:
            self._epoch = epoch
        return self._epoch

    def rows(self, most: int | None = None) -> list[ActiveRequest]:
        """What each one does now; of more than `most`, the oldest ones."""
        now, epoch = time.monotonic(), self.epoch
        shown = islice(self._requests.items(), most)
        return [self._row(measured, active, now, epoch) for measured, active in shown]

    def cancel(self, request_id: str) -> list[ActiveRequest]:
        """Cancel the request with this id, or all of them if a client has used it several times.

        Returns what they did until now. Raises RequestNotFound.
        """
        found = [
            (measured, active) for measured, active in self._requests.items() if _id(measured) == request_id
        ]
        if not found:
            hint = did_you_mean(request_id, map(_id, self._requests)) or (
                ". It may have ended; `sparkctl top` lists those in flight"
            )
            raise RequestNotFound(f'No request in flight has the id "{request_id[:LONGEST_NAME]}"{hint}.')
        now, epoch = time.monotonic(), self.epoch
        rows = [self._row(measured, active, now, epoch) for measured, active in found]
        for measured, active in found:
            model = measured.prepared.model.id
            message = f'The owner of sparkd cancelled this request for "{model}". Send it again only if you need it.'
            active.forwarding.cancel(RequestCancelled(message))
        return rows

    def _row(self, measured: MeasuredRequest, active: _Active, now: float, epoch: float) -> ActiveRequest:
        request, prepared = measured.request, measured.prepared
        phase, since = measured.phase(active.lease)
        streamed = measured.is_stream or prepared.is_streamed
        tokens = self._rates.estimate(measured)
        return ActiveRequest(
            id=_id(measured),
            model=prepared.model.id,
            asked=(request.asked or "")[:LONGEST_NAME],
            client=request.key or ANONYMOUS,
            program=request.client.name,
            endpoint=find_endpoint_name(request.raw_path),
            streamed=streamed,
            began=round(request.began + epoch, 3),
            phase=phase,
            phase_since=round(since + epoch, 3),
            granted=None if measured.granted is None else round(measured.granted + epoch, 3),
            tokens_out=round(tokens) if streamed else None,
            speed=None if measured.first is None else _measure_speed(active, measured.first, tokens, now),
        )


def _measure_speed(active: _Active, first: float, tokens: float, now: float) -> float | None:
    """Tokens per second since the oldest sample of the last seconds. None within the first moments."""
    if active.samples is None:
        active.samples = deque([(first, 0.0)])
    samples = active.samples
    if now - samples[-1][0] >= _SAMPLE_INTERVAL:
        samples.append((now, tokens))
    while len(samples) > 1 and samples[1][0] <= now - SPEED_WINDOW:
        samples.popleft()
    since, before = samples[0]
    return round(max(0.0, tokens - before) / (now - since), 1) if now - since >= _SAMPLE_INTERVAL else None


def _id(measured: MeasuredRequest) -> str:
    return measured.request.identify().decode("latin-1")

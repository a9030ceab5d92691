"""Estimates for requests, models and refusals: the scheduler's forecasts together with downloads."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Final

from msgspec import structs

from sparkd.catalog.definitions import Model
from sparkd.errors import ModelBusy, QueueFull, Refusal, WaitTimeout
from sparkd.learning.learning import Learning
from sparkd.learning.load_estimates import LoadEstimate
from sparkd.scheduling.forecast import Forecast
from sparkd.scheduling.forecaster import Forecaster
from sparkd.scheduling.ledger import Entry
from sparkd.scheduling.lifecycle import State
from sparkd.scheduling.model_state import ModelState, describe_model_state
from sparkd.scheduling.plan import Plan, make_plan
from sparkd.scheduling.scheduler import Scheduler
from sparkd.supervising.downloads import Downloads
from sparkd.supervising.load_watch import LoadWatch
from sparkd.supervising.run import Run

UNKNOWN_RETRY: Final = 15.0
"""Seconds after which a client should retry if nothing is known about the time that it would have to wait."""


class Forecasts:
    """Estimates for one daemon. Reads the scheduler, the runs (by number), the history and the downloads."""

    def __init__(
        self,
        scheduler: Scheduler,
        runs: Mapping[int, Run],
        learning: Learning,
        downloads: Downloads,
        can_start_warm: Callable[[Model], bool],
    ) -> None:
        self._scheduler = scheduler
        self._downloads = downloads
        self._loads = LoadWatch(runs, learning, downloads, can_start_warm)
        self._forecaster = Forecaster(scheduler, self._loads)

    def of_ticket(self, ticket: int) -> Forecast | None:
        """Return the forecast of a waiting ticket. None if it does not wait."""
        now = time.monotonic()
        forecast = self._forecaster.forecast(ticket, now)
        if forecast and (hold := self._scheduler.blocked_by(forecast.model, now)):
            return structs.replace(forecast, blocked_by=hold)
        return forecast

    def of_request(self, model: Model) -> Forecast:
        """Return the forecast of a request for the model that has no ticket yet."""
        forecast = self._forecaster.forecast_request(model.id, time.monotonic())
        return self._downloads.add_download(forecast)

    def plan(self, model: Model) -> Plan:
        """Return what would happen if a client requested the model now."""
        return make_plan(self._scheduler, model.id, time.monotonic(), self._loads)

    def state(self, model: Model) -> ModelState:
        """Return the model's state as clients see it in lists."""
        entry = self._scheduler.entry(model.id)
        state = describe_model_state(entry, None, None)
        if entry is not None and entry.state is State.STARTING:
            left = self._loads.left(entry, time.monotonic())
            return describe_model_state(entry, self._loads.step(entry), left)
        return self._downloads.add_state(model.id, state) if state.residency == "unloaded" else state

    def of_model(self, model: Model) -> Forecast | None:
        """Return the forecast of the request that waits longest for the model, or of its load or its download.

        None if nothing is under way.
        """
        entry = self._scheduler.entry(model.id)
        if entry is not None and entry.waiting:
            return self.of_ticket(next(iter(entry.waiting)))
        is_loading = entry is not None and entry.state is State.STARTING
        return self.of_request(model) if is_loading or self._downloads.is_downloading(model.id) else None

    def load_under_way(self, entry: Entry, now: float) -> tuple[LoadEstimate | None, float | None]:
        """Return what the load of a model that starts usually takes, and the seconds that are left of it."""
        return self._loads.estimate(entry), self._loads.left(entry, now)

    def load_span(self, model: Model) -> tuple[float, float] | None:
        """Return when the present or last load of the model began and ended, in seconds of the steady clock.

        The end of a load that is under way is infinite. None if the model is neither loading nor loaded.
        """
        entry = self._scheduler.entry(model.id)
        if entry is None:
            return None
        if entry.state is State.STARTING:
            return entry.since, math.inf
        return None if entry.ready_at is None else (entry.ready_at - entry.load_time, entry.ready_at)

    def expected_load(self, entry: Entry) -> float | None:
        """Return the seconds that a load which is under way takes in total, by earlier ones. None if unknown."""
        return self._loads.usual(entry)

    def complete(self, refusal: Refusal, model_id: str) -> None:
        """Set when the client of a refused request for the model should retry, if that depends on the queue."""
        now = time.monotonic()
        match refusal:
            case QueueFull():
                refusal.retry_after = self._forecaster.next_grant(now) or UNKNOWN_RETRY
            case ModelBusy():
                refusal.retry_after = self._forecaster.time_to_launch(model_id, now) or UNKNOWN_RETRY
            case WaitTimeout():
                left = self._forecaster.forecast_request(model_id, now).seconds
                refusal.retry_after = UNKNOWN_RETRY if left is None else left
            case _:
                pass

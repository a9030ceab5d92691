"""Rows of the models that are not just stopped. What it costs does not depend on the size of the catalogue."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final

from msgspec import Struct, field, structs

from sparkd.catalog.definitions import Model
from sparkd.control.live.loads import SteadyEstimates, describe_download, describe_load, end_of
from sparkd.control.live.sources import Clock
from sparkd.control.live.state import LiveHold, LiveModel
from sparkd.hub.messages import Progress
from sparkd.scheduling.deadlines import idle_deadline
from sparkd.scheduling.ledger import NEVER, Entry
from sparkd.scheduling.lifecycle import State
from sparkd.scheduling.scheduler import Scheduler
from sparkd.supervising.run import Run
from sparkd.supervising.supervisor import Supervisor

STAYS: Final = 30.0
"""Seconds for which a model that has stopped is still shown, so that everyone sees that it has."""

MEMORY_STEP: Final = 4 * 1024 * 1024
"""Bytes to which measured memory is rounded."""

_REASONED: Final = (State.DRAINING, State.STOPPING)


class ModelRows(Struct):
    """Builds the rows. `used` is the memory of each run as it was sent last: it changes with `refresh` only."""

    supervisor: Supervisor
    scheduler: Scheduler
    clock: Clock
    estimates: SteadyEstimates = field(default_factory=SteadyEstimates)
    used: dict[int, int] = field(default_factory=dict)
    _last: dict[str, LiveModel] = field(default_factory=dict)

    def refresh(self) -> None:
        """Take over the memory that was measured since."""
        self.used = {
            number: -(-run.figures.used // MEMORY_STEP) * MEMORY_STEP
            for number, run in self.supervisor.runs.launched.items()
            if run.figures.used
        }

    def read(self) -> dict[str, LiveModel]:
        """All rows, by id."""
        now, downloads = time.monotonic(), self.supervisor.downloads.downloading()
        found = {entry.model.id: entry for entry in self.scheduler.entries()}
        models = self.supervisor.catalogue.models
        rows = {id_: self._describe(entry, downloads.get(id_), now) for id_, entry in found.items()}
        for id_, progress in downloads.items():
            if id_ not in rows and id_ in models:
                rows[id_] = self._describe_download(models[id_], progress)
        for id_, row in self._last.items():
            if id_ not in rows and (kept := self._keep(row)) is not None:
                rows[id_] = kept
        self._last = rows
        self.estimates.keep({(id_, row.run) for id_, row in rows.items()})
        return rows

    def _keep(self, row: LiveModel) -> LiveModel | None:
        """The row of a model that is no longer active, for a while."""
        if row.state != "stopped" or row.waiting or row.download:
            since = self.clock.date(time.monotonic())
            return LiveModel(
                id=row.id,
                state="stopped",
                since=since,
                run=row.run,
                footprint=row.footprint,
                basis=row.basis,
                pinned=row.pinned,
                lifecycle=row.lifecycle,
                context=row.context,
                load_time=row.load_time,
            )
        return row if self.clock.date(time.monotonic()) - row.since < STAYS else None

    def _describe_download(self, model: Model, progress: Progress) -> LiveModel:
        entry = Entry(model, *self.scheduler.footprint(model), since=self.supervisor.started)
        return self._describe(entry, progress, time.monotonic())

    def _describe(self, entry: Entry, progress: Progress | None, now: float) -> LiveModel:
        model, clock = entry.model, self.clock
        run = self.supervisor.runs.launched.get(entry.run)
        row = LiveModel(
            id=model.id,
            state=entry.state.value,
            since=clock.date(entry.since),
            quarantined=entry.is_quarantined,
            run=entry.run,
            in_flight=len(entry.leases),
            waiting=len(entry.waiting),
            footprint=entry.footprint,
            basis=entry.basis,
            memory_used=self.used.get(entry.run) if run else None,
            pinned=model.pinned,
            lifecycle=model.lifecycle,
            context=model.context_length,
            load_time=round(entry.load_time, 1) or None,
            reason=entry.reason or None if entry.state in _REASONED else None,
            cause=entry.cause or None,
        )
        return structs.replace(row, **self._describe_times(entry, run, progress, now))

    def _describe_times(
        self, entry: Entry, run: Run | None, progress: Progress | None, now: float
    ) -> Mapping[str, object]:
        """The fields that are about what is under way, and about when it ends."""
        fields: dict[str, object] = {}
        if entry.state is State.STARTING and run is not None:
            estimate, left = self.supervisor.forecasts.load_under_way(entry, now)
            ready_at = self.estimates.settle((entry.model.id, entry.run), end_of(left), time.time())
            fields["load"] = describe_load(entry, run, estimate, ready_at, self.clock)
        if progress is not None:
            fields["download"] = self._describe_progress(entry.model.id, progress)
        if (idle_at := idle_deadline(entry)) < NEVER:
            fields["idle_at"] = self.clock.date(idle_at)
        if entry.state is State.BACKOFF and not entry.is_quarantined:
            fields["retry_at"] = self.clock.date_if_known(entry.retry_at)
        if entry.holds:
            fields["holds"] = tuple(
                LiveHold(id=each.id, until=each.until, owner=each.owner, job=each.job, reason=each.reason)
                for each in entry.holds
            )
        if run is not None and run.cold_reason:
            fields["cold_reason"] = run.cold_reason
        return fields

    def _describe_progress(self, model_id: str, progress: Progress) -> object:
        about = (model_id, 0)
        ends_at = self.estimates.settle(about, end_of(progress.seconds_left), time.time())
        return describe_download(progress, ends_at)

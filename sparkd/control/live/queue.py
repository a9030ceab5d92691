"""Requests that wait for a model, in the order of their turns, each with a sentence."""

from __future__ import annotations

import time
from itertools import islice
from typing import Final

from msgspec import Struct, field, structs

from sparkd.control.live.loads import SteadyEstimates, end_of
from sparkd.control.live.sources import Clock
from sparkd.control.live.state import LiveQueue, QueueRow
from sparkd.scheduling.forecast_text import describe_forecast
from sparkd.scheduling.scheduler import Scheduler
from sparkd.scheduling.ticket import Ticket
from sparkd.supervising.supervisor import Supervisor

MAX_ROWS: Final = 100


class QueueRows(Struct):
    """Builds the queue."""

    supervisor: Supervisor
    scheduler: Scheduler
    clock: Clock
    estimates: SteadyEstimates = field(default_factory=SteadyEstimates)

    def read(self) -> LiveQueue:
        """The queue now. Only its first requests have rows."""
        settings, tickets = self.supervisor.catalogue.settings.queue, self.scheduler.tickets
        in_turn = sorted(tickets.values(), key=lambda ticket: (not ticket.weight, ticket.rank, ticket.id))
        rows = [self._describe(ticket, number) for number, ticket in enumerate(islice(in_turn, MAX_ROWS), 1)]
        self.estimates.keep({row.ticket for row in rows})
        return LiveQueue(
            waiting=len(tickets),
            max_length=settings.max_length,
            on_busy=settings.on_busy,
            rows=tuple(rows),
        )

    def _describe(self, ticket: Ticket, number: int) -> QueueRow:
        forecast = self.supervisor.forecasts.of_ticket(ticket.id)
        row = QueueRow(
            ticket=ticket.id,
            model=ticket.model,
            # What follows identifies the client within the scheduler, and is for nobody else.
            client=ticket.claim.client.partition("\n")[0],
            arrived=self.clock.date(ticket.arrived),
            deadline=self.clock.date(ticket.deadline),
            position=number,
            background=ticket.claim.background,
            priority=ticket.claim.priority,
        )
        if forecast is None:
            return row
        return structs.replace(
            row,
            stage=forecast.stage,
            text=describe_forecast(structs.replace(forecast, seconds=None)),
            ready_at=self.estimates.settle(ticket.id, end_of(forecast.seconds), time.time()),
        )

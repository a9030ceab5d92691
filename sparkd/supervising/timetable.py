"""Loads models at certain times of day. Each load is a request of low priority, and evicts what such a request may."""

from __future__ import annotations

import asyncio
import datetime
import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Final

from sparkd.catalog import Catalogue
from sparkd.catalog.definitions import Model
from sparkd.catalog.times_of_day import parse_time_of_day
from sparkd.errors import SparkdError
from sparkd.journal.handler import event
from sparkd.scheduling.claim import Claim
from sparkd.supervising.tasks import Tasks
from sparkd.upstream.client import EngineRequest

INTERVAL: Final = 15.0
"""Seconds between two checks of the clock. A clock that is set, or a machine that slept, needs no more than that."""

CLAIM: Final = Claim(priority="low")

logger = logging.getLogger(__name__)


def find_due(
    catalogue: Catalogue, after: datetime.datetime, until: datetime.datetime
) -> Iterator[tuple[Model, str]]:
    """The enabled models one of whose times came between these moments, with that time."""
    for model in catalogue.models.values():
        for text in model.load_at if model.enabled else ():
            if parse_time_of_day(text).comes_between(after, until):
                yield model, text
                break


class Timetable:
    """Loads the models of `catalogue` at their times, each with a lease that it returns at once.

    `clock` returns the time with its zone.
    """

    def __init__(
        self,
        catalogue: Callable[[], Catalogue],
        lease: Callable[[Model, EngineRequest | None, Claim], AbstractAsyncContextManager[object]],
        tasks: Tasks,
        clock: Callable[[], datetime.datetime] = lambda: datetime.datetime.now(datetime.UTC),
    ) -> None:
        self._catalogue = catalogue
        self._lease = lease
        self._tasks = tasks
        self._clock = clock

    async def run(self, interval: float = INTERVAL) -> None:
        """Look at the clock every `interval` seconds until cancelled."""
        last = self._clock()
        while True:
            await asyncio.sleep(interval)
            now = self._clock()
            for model, text in find_due(self._catalogue(), last, now):
                self._tasks.start(self._load(model, text), f"load of {model.id} at {text}")
            last = max(last, now)  # a clock that is set back does not load anything twice

    async def _load(self, model: Model, text: str) -> None:
        logger.info('Loading model "%s" because it is %s', model.id, text, extra=event("timetable", model.id))
        try:
            async with self._lease(model, None, CLAIM):
                pass
        except SparkdError as error:
            logger.warning(
                'Model "%s" is not loaded at %s: %s',
                model.id,
                text,
                error.message,
                extra=event("timetable-failed", model.id),
            )

"""Checks that models which are loaded without a request are on disk, before the scheduler launches them."""

from __future__ import annotations

import logging
from collections.abc import Callable

from sparkd.catalog.definitions import Model
from sparkd.errors import SparkdError
from sparkd.journal.handler import event
from sparkd.supervising.downloads import Downloads
from sparkd.supervising.tasks import Tasks

logger = logging.getLogger(__name__)


class PreloadCheck:
    """Which models are on disk. `on_found` is called once a model is, after it was not."""

    def __init__(self, downloads: Downloads, tasks: Tasks, on_found: Callable[[], None]) -> None:
        self._downloads = downloads
        self._tasks = tasks
        self._on_found = on_found
        self._checking: set[str] = set()
        self._missing: dict[str, Model] = {}

    def is_on_disk(self, model: Model) -> bool:
        """Whether the model is on disk. If that is unknown, it is checked, and downloaded if the catalogue says so.

        A model that is missing is not looked for again until the catalogue changes or a request loads it.
        """
        if self._downloads.is_on_disk(model):
            return True
        if model.id not in self._checking and self._missing.get(model.id) is not model:
            self._checking.add(model.id)
            self._tasks.start(self._check(model), f"preload check of {model.id}")
        return False

    async def _check(self, model: Model) -> None:
        try:
            await self._downloads.ensure_on_disk(model)
        except SparkdError as error:
            self._missing[model.id] = model
            logger.warning(
                'Model "%s" is not preloaded: %s',
                model.id,
                error.message,
                extra=event("not-preloaded", model.id),
            )
        else:
            self._missing.pop(model.id, None)
        finally:
            self._checking.discard(model.id)
        if model.id not in self._missing:
            self._on_found()

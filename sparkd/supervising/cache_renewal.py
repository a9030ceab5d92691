"""Gives a failed start new compile caches if the current ones are damaged."""

from __future__ import annotations

import asyncio
import logging
import time

from sparkd.catalog import Catalogue
from sparkd.engines.engine import Cause
from sparkd.errors import LaunchError
from sparkd.journal.handler import event
from sparkd.runtimes.compile_caches import move_broken_caches
from sparkd.supervising.engine_watch import EXPLAINED_LINES
from sparkd.supervising.launching import find_cache_folder
from sparkd.supervising.run import Run

logger = logging.getLogger(__name__)


class CacheRenewal:
    """Moves damaged compile caches away: once, until the same definition of the model has been ready again.

    If it fails with new caches too, the old ones were not the cause, and moving the new ones would make other models
    compile again for nothing.
    """

    def __init__(self) -> None:
        self._renewed: set[str] = set()

    def record_ready(self, key: str) -> None:
        """Record that the definition with this key in the history has been ready."""
        self._renewed.discard(key)

    async def renew(self, run: Run, catalogue: Catalogue, cause: Cause, *, has_started: bool) -> bool:
        """Move the caches of the run's engine away if it failed to read them. Return whether it did.

        `has_started`: the same definition has started before. Otherwise its log cannot distinguish a damaged cache from
        a definition that never works, so only damaged files count.
        """
        if run.key in self._renewed:
            return False
        try:
            folder = find_cache_folder(run.model, catalogue)
            lines = run.log.tail(EXPLAINED_LINES) if has_started else []
            moved = await asyncio.to_thread(move_broken_caches, folder, lines, cause, time.time())
        except (LaunchError, OSError) as error:
            logger.warning('Cannot replace the compile caches of model "%s": %s', run.model.id, error)
            return False
        if moved is None:
            return False
        self._renewed.add(run.key)
        message = 'The compile caches of model "%s" are damaged, so it starts with new ones. Found: %s. Moved to %s.'
        values = run.model.id, moved.evidence.rstrip("."), ", ".join(map(str, moved.folders))
        logger.warning(message, *values, extra=event("new-caches", run.model.id))
        return True

"""Gives a failed start new compile caches if the current ones are damaged."""

from __future__ import annotations

import asyncio
import logging
import time

from sparkd.engines.engine import Cause
from sparkd.errors import LaunchError
from sparkd.journal.handler import event
from sparkd.runtimes.compile_caches import move_broken_caches
from sparkd.supervising.run import Run

logger = logging.getLogger(__name__)


class CacheRenewal:
    """Moves damaged compile caches away, once for each model's definition until it has been ready again.

    If it fails with new caches too, the old ones were not the cause, and other models need not compile again.
    """

    def __init__(self) -> None:
        self._renewed: set[str] = set()

    def record_ready(self, key: str) -> None:
        """Record that the definition with this key in the history works."""
        self._renewed.discard(key)

    async def renew(self, run: Run, cause: Cause, *, was_ready: bool) -> bool:
        """Move the compile caches away if the run's start failed because they are damaged. Return whether it did.

        `was_ready`: the same definition has been ready before. Otherwise its log does not show whether a cache is
        damaged or the definition has never worked, so only damaged files count.
        """
        if not run.failed_to_start or run.key in self._renewed:
            return False
        try:
            folder = run.find_cache_folder()
            lines = run.last_lines() if was_ready else []
            moved = await asyncio.to_thread(move_broken_caches, folder, lines, cause, time.time())
        except (LaunchError, OSError) as error:
            logger.error('Cannot give model "%s" new compile caches: %s', run.model.id, error)
            return False
        if moved is None:
            return False
        self._renewed.add(run.key)
        message = (
            'Model "%s" starts again with new compile caches, because one is damaged: %s. Old caches: %s'
        )
        folders = ", ".join(map(str, moved.folders))
        extra = event("cache-renewal", run.model.id)
        logger.warning(message, run.model.id, moved.evidence.rstrip("."), folders, extra=extra)
        return True

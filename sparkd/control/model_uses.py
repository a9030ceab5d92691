"""The recorded past of all models, for the list of models: read in a thread, and not for each request."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Final

from sparkd.errors import UsageUnreadable
from sparkd.usage.model_uses import ModelUse
from sparkd.usage.reader import UsageReader

FRESH: Final = 15.0
"""Seconds for which what was read is used again."""


class ModelUses:
    """Reads what was recorded. Unreadable records are unknown ones: the list of models does not depend on them."""

    def __init__(self, reader: UsageReader) -> None:
        self._reader = reader
        self._found: Mapping[str, ModelUse] = {}
        self._read_at = float("-inf")
        self._version: int | None = None
        self._lock = asyncio.Lock()

    async def __call__(self) -> Mapping[str, ModelUse]:
        """What is known, by model."""
        async with self._lock:
            version = self._reader.version
            is_unchanged = version is not None and version == self._version
            if not is_unchanged and time.monotonic() - self._read_at > FRESH:
                found = await asyncio.to_thread(self._read)
                self._found = found or {}
                self._read_at, self._version = time.monotonic(), None if found is None else version
        return self._found

    def _read(self) -> Mapping[str, ModelUse] | None:
        """None if the records cannot be read now."""
        try:
            return self._reader.model_uses()
        except UsageUnreadable:
            return None

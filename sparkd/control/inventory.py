"""What is on disk for each model, looked up in the background: thousands of folders take seconds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from sparkd.catalog import Catalogue
from sparkd.hub.files import FileState, ModelFiles, combine_states
from sparkd.hub.inspection import take_inventory

FRESH: Final = 15.0
"""Seconds after which the disk is looked at again, if somebody asks."""

PATIENCE: Final = 0.05
"""Seconds that the first response waits for the disk. Later ones have what was known before."""


class OnDisk(Struct, frozen=True, kw_only=True):
    """The files of one model: their state and size, and the bytes to download, None if unknown. A model that needs no
    files is complete.
    """

    state: FileState
    size: int
    bytes_left: int | None = None
    downloading: bool = False


class Inventory:
    """Looks at the disk at most every FRESH seconds, and never twice at once."""

    def __init__(self) -> None:
        self._known: Mapping[str, OnDisk] = {}
        self._looked = float("-inf")
        self._catalogue: Catalogue | None = None
        self._looking: asyncio.Task[None] | None = None

    async def get(self, catalogue: Catalogue) -> Mapping[str, OnDisk]:
        """What is known, by model; a model that was not looked at yet is missing."""
        is_old = time.monotonic() - self._looked > FRESH or self._catalogue is not catalogue
        if is_old and (self._looking is None or self._looking.done()):
            self._looking = asyncio.create_task(self._look(catalogue), name="inventory")
        if self._looking is not None and not self._looking.done() and self._catalogue is not catalogue:
            await asyncio.wait([self._looking], timeout=PATIENCE)
        return self._known

    async def _look(self, catalogue: Catalogue) -> None:
        models = catalogue.folder("models")
        found = await asyncio.to_thread(take_inventory, catalogue.models.values(), models)
        self._known = {files.model: _summarize(files) for files in found if files.model}
        self._looked, self._catalogue = time.monotonic(), catalogue


def _summarize(files: ModelFiles) -> OnDisk:
    parts = files.parts
    known = [part.bytes_left for part in parts if part.state not in ("complete", "unknown")]
    return OnDisk(
        state=combine_states(parts),
        size=parts[0].size if parts else 0,
        bytes_left=None if None in known else sum(left for left in known if left is not None),
        downloading=any(part.downloading for part in parts),
    )

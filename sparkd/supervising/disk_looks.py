"""Whether models that no request was for yet are on disk: a quick look, kept for a while."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from msgspec import Struct

from sparkd.catalog.definitions import Model
from sparkd.hub import inspection

FRESH: Final = 30.0
"""Seconds after which a folder is looked at again."""


class _Look(Struct):
    model: Model
    is_complete: bool
    until: float


class DiskLooks:
    """Looks at the folders of models. A look may be out of date, so a request for a model checks its files itself."""

    def __init__(self) -> None:
        self._looks: dict[str, _Look] = {}

    def is_complete(self, model: Model, models: Path) -> bool:
        """Return whether the model's files were all below the folder `models` a short time ago."""
        now = time.monotonic()
        look = self._looks.get(model.id)
        if look is None or look.model is not model or now >= look.until:
            look = _Look(model, inspection.is_complete(model, models), now + FRESH)
            self._looks[model.id] = look
        return look.is_complete

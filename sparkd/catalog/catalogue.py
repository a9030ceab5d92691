"""What may run, once it has been read and found good."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from sparkd.catalog.definitions import Model, Runtime
from sparkd.catalog.nearest import did_you_mean
from sparkd.catalog.origins import Table
from sparkd.catalog.settings import Settings
from sparkd.catalog.wording import dotted, quoted
from sparkd.errors import ModelDisabled, ModelNotFound

FolderName = Literal["models", "state", "run", "venvs", "runtimes"]

LONGEST_ECHO = 100
"""Characters of an unknown name that an answer repeats."""


class Catalogue:
    """Models, runtimes and settings, immutable.

    `path` is the file they were read from, `tables` what files say about each model and where, `families` the names
    of those that are defined.
    """

    __slots__ = ("_by_name", "_tables", "families", "models", "path", "runtimes", "settings")

    def __init__(
        self,
        *,
        path: Path,
        settings: Settings,
        models: Mapping[str, Model],
        runtimes: Mapping[str, Runtime],
        tables: Mapping[str, Table] = MappingProxyType({}),
        families: Iterable[str] = (),
    ) -> None:
        self.path = path
        self.settings = settings
        self.models: Mapping[str, Model] = MappingProxyType(dict(models))
        self.runtimes: Mapping[str, Runtime] = MappingProxyType(dict(runtimes))
        self.families = tuple(families)
        self._tables = tables
        self._by_name = {
            name: model
            for model in models.values()
            for name in (model.id, *model.aliases, *model.rewriting.presets)
        }

    def find(self, name: str) -> Model:
        """The model of that id or alias.

        Raises ModelNotFound, which names the nearest one, and ModelDisabled, which says why.
        """
        model = self.defined(name)
        if not model.enabled:
            raise _disabled(model)
        return model

    def defined(self, name: str) -> Model:
        """The model of that id or alias, disabled or not. Raises ModelNotFound."""
        model = self._by_name.get(name)
        if model is None:
            raise self._unknown(name)
        return model

    def folder(self, name: FolderName) -> Path:
        """A folder of `[paths]`, absolute. It may not exist yet."""
        folder: str = getattr(self.settings.paths, name)
        return self.path.absolute().parent / folder

    def place(self, model: Model, *path: str) -> tuple[Path, str]:
        """Where a key of a model (`"options", "dtype"`) is said: the file, and the key as it stands there.

        It may be a key of the model's family or runtime, or of a change. Where nobody says it, where the model begins.
        """
        table = self._tables.get(model.id)
        return table.place(*path) if table else (self.path, dotted("models", model.id, *path))

    def _unknown(self, name: str) -> ModelNotFound:
        enabled = (known for known, model in self._by_name.items() if model.enabled)
        echo = name if len(name) <= LONGEST_ECHO else name[:LONGEST_ECHO] + "…"
        meant = did_you_mean(name, enabled) or "."
        return ModelNotFound(f"There is no model {quoted(echo)}{meant}", param="model")


def _disabled(model: Model) -> ModelDisabled:
    why = f"{model.reason.rstrip('.')}; use {model.instead} instead" if model.instead else model.reason
    return ModelDisabled(f'Model "{model.id}" is disabled: {why}', param="model")

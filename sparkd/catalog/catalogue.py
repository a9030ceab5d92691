"""The catalogue after it has been read and checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from sparkd.catalog.definitions import Model, Runtime
from sparkd.catalog.messages import join_key, quote
from sparkd.catalog.nearest import did_you_mean
from sparkd.catalog.origins import Table
from sparkd.catalog.settings import Settings
from sparkd.errors import ModelDisabled, ModelNotFound

FolderName = Literal["models", "state", "run", "venvs", "runtimes"]

LONGEST_ECHO = 100
"""The most characters of an unknown name that an error message repeats."""


class Catalogue:
    """Models, runtimes and settings, immutable.

    `path` is the file that they were read from. `tables` has the values of each model and the files that set them.
    `families` has the names of the defined families.
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
        """The model with that id or alias.

        Raises ModelNotFound, which names the nearest model, and ModelDisabled, which states the reason.
        """
        model = self.find_including_disabled(name)
        if not model.enabled:
            raise _disabled_error(model)
        return model

    def find_including_disabled(self, name: str) -> Model:
        """The model with that id or alias, disabled or not. Raises ModelNotFound."""
        model = self._by_name.get(name)
        if model is None:
            raise self._not_found(name)
        return model

    def folder(self, name: FolderName) -> Path:
        """A folder of `[paths]`, absolute. It may not exist yet."""
        folder: str = getattr(self.settings.paths, name)
        return self.path.absolute().parent / folder

    def locate_key(self, model: Model, *path: str) -> tuple[Path, str]:
        """Where a key of a model (`"options", "dtype"`) is set: the file, and the key as that file has it.

        It may be a key of the model's family or runtime, or of a change. If no file sets it: where the model begins.
        """
        table = self._tables.get(model.id)
        return table.locate_key(*path) if table else (self.path, join_key("models", model.id, *path))

    def _not_found(self, name: str) -> ModelNotFound:
        enabled = (known for known, model in self._by_name.items() if model.enabled)
        echo = name if len(name) <= LONGEST_ECHO else name[:LONGEST_ECHO] + "…"
        meant = did_you_mean(name, enabled) or "."
        return ModelNotFound(f"There is no model {quote(echo)}{meant}", param="model")


def _disabled_error(model: Model) -> ModelDisabled:
    why = f"{model.reason.rstrip('.')}; use {model.instead} instead" if model.instead else model.reason
    return ModelDisabled(f'Model "{model.id}" is disabled: {why}', param="model")

"""The catalogue after it has been read and checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from sparkd.catalog.choices import Choice, Found
from sparkd.catalog.client_rules import ClientRule
from sparkd.catalog.definitions import Model
from sparkd.catalog.key_rules import KeyRules
from sparkd.catalog.messages import join_key, quote
from sparkd.catalog.name_index import NameIndex
from sparkd.catalog.nearest import did_you_mean
from sparkd.catalog.origins import Origin, Table
from sparkd.catalog.runtime import Runtime
from sparkd.catalog.settings import Settings
from sparkd.errors import ModelDisabled, ModelNotFound

FolderName = Literal["models", "state", "run", "venvs", "runtimes"]

LONGEST_ECHO = 100
"""The most characters of an unknown name that an error message repeats."""

MAX_LISTED = 5
"""The most models that the error for an unknown name lists."""


class Catalogue:
    """Models, runtimes and settings, immutable.

    `path` is the file that they were read from. `tables` has the values of each model and the files that set them.
    `keys` has the rules for API keys by their names, `clients` the rules that recognize client programs. `families` has
    the names of the defined families, `choices` the names that stand for several models, and `declared_choices` those
    of the files. `default` is the model, or the
    choice, for requests that name none that exists.
    """

    __slots__ = (
        "__weakref__",
        "_names",
        "_tables",
        "choices",
        "clients",
        "declared_choices",
        "default",
        "families",
        "keys",
        "models",
        "path",
        "runtimes",
        "settings",
    )

    def __init__(
        self,
        *,
        path: Path,
        settings: Settings,
        models: Mapping[str, Model],
        runtimes: Mapping[str, Runtime],
        tables: Mapping[str, Table] = MappingProxyType({}),
        families: Iterable[str] = (),
        choices: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
        keys: Mapping[str, KeyRules] = MappingProxyType({}),
        clients: Iterable[ClientRule] = (),
    ) -> None:
        self.path = path
        self.settings = settings
        self.models: Mapping[str, Model] = MappingProxyType(dict(models))
        self.runtimes: Mapping[str, Runtime] = MappingProxyType(dict(runtimes))
        self.families = tuple(families)
        self.keys: Mapping[str, KeyRules] = MappingProxyType(dict(keys))
        self.clients = tuple(clients)
        self.declared_choices = choices
        self._tables = tables
        self._names = NameIndex(models.values(), choices, settings.server.default_model)
        self.default = self._names.default
        self.choices: Mapping[str, Choice] = MappingProxyType(
            {name: found.choice for name, found in self._names.choices.items() if found.choice}
        )

    def find(self, name: str) -> Model:
        """The model with exactly that id or alias.

        Raises ModelNotFound, which names the nearest model, and ModelDisabled, which states the reason.
        """
        model = self.find_including_disabled(name)
        if not model.enabled:
            raise _disabled_error(model)
        return model

    def find_including_disabled(self, name: str) -> Model:
        """The model with that id or alias, disabled or not. Raises ModelNotFound."""
        found = self._names.exact.get(name)
        if found is None:
            raise self._not_found(name)
        return found.model

    def resolve(self, name: str) -> Found:
        """The model, or the choice, that a client means by a name, however it writes the name.

        Raises ModelNotFound, which names the nearest model, and ModelDisabled, which states the reason.
        """
        found = self._names.find(name)
        if found is None:
            raise self._not_found(name)
        if not found.model.enabled:
            raise _disabled_error(found.model)
        return found

    def resolve_or_default(self, name: str | None) -> Found | None:
        """Like `resolve`, but the default model if there is one and the name means no model.

        Returns None if the name is empty and there is no default model. Raises ModelNotFound and ModelDisabled.
        """
        if self.default is not None and (not name or self._names.find(name) is None):
            return self.default
        return self.resolve(name) if name else None

    def canonical_name(self, name: str) -> str:
        """The catalogue's own spelling of a name; the name itself if it means no model."""
        found = self._names.find(name)
        return name if found is None else found.name

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

    def table_of(self, model: Model) -> Table:
        """The values of a model that files set, and where each is set."""
        known = self._tables.get(model.id)
        return Table(Origin(self.path, ("models", model.id))) if known is None else known

    def _not_found(self, name: str) -> ModelNotFound:
        if (choice := self.choices.get(name)) is not None:
            text = f'"{name}" stands for several models; name one of them: {_list_some(choice.models)}.'
            return ModelNotFound(text, param="model")
        enabled = (known for known, found in self._names.exact.items() if found.model.enabled)
        echo = name if len(name) <= LONGEST_ECHO else name[:LONGEST_ECHO] + "…"
        meant = did_you_mean(name, enabled) or self._list_enabled()
        return ModelNotFound(f"There is no model {quote(echo)}{meant}", param="model")

    def _list_enabled(self) -> str:
        """The end of a sentence: the models that can be used instead."""
        enabled = [model for model in self.models.values() if model.enabled]
        if not enabled:
            return "; the catalogue has none that is enabled."
        return f"; use one of {_list_some(enabled)}."


def _list_some(models: list[Model]) -> str:
    ids = [quote(model.id) for model in models]
    more = f" and {len(ids) - MAX_LISTED} more" if len(ids) > MAX_LISTED else ""
    return f"{', '.join(ids[:MAX_LISTED])}{more}"


def _disabled_error(model: Model) -> ModelDisabled:
    why = f"{model.reason.rstrip('.')}; use {model.instead} instead" if model.instead else model.reason
    return ModelDisabled(f'Model "{model.id}" is disabled: {why}', param="model")

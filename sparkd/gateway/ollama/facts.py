"""Facts about models for `/api/tags`, `/api/ps` and `/api/show`: from the catalogue, and from files that are on disk.

They are read in a thread, and kept for a while, so that a list never waits for a disk that engines keep busy."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec

from sparkd.catalog import Catalogue
from sparkd.catalog.definitions import Model
from sparkd.hub import inspection, layout
from sparkd.hub.needs import find_needs
from sparkd.ollama.abilities import find_abilities
from sparkd.ollama.cards import ModelFacts
from sparkd.rewriting.context_window import context_length

FRESH: Final = 30.0
"""Seconds after which the files are looked at again."""

MAX_CONFIG: Final = 4 * 1024 * 1024
"""Bytes of a config.json that is read."""

_INNER: Final = ("text_config", "llm_config", "language_config", "thinker_config")


class FactsCache:
    """The facts about the enabled models of a catalogue, in its order."""

    def __init__(self) -> None:
        self._catalogue: Catalogue | None = None
        self._facts: Mapping[str, ModelFacts] = {}
        self._until = 0.0
        self._reading: asyncio.Task[Mapping[str, ModelFacts]] | None = None

    async def read_all(self, catalogue: Catalogue) -> Mapping[str, ModelFacts]:
        """The facts by id. After the first time, a list gets what is known while it is read again."""
        if catalogue is not self._catalogue:
            self._catalogue, self._facts, self._until = catalogue, {}, 0.0
            self._reading = None
        if self._reading is None and time.monotonic() >= self._until:
            reading = self._reading = asyncio.ensure_future(asyncio.to_thread(read_facts, catalogue))
            reading.add_done_callback(self._keep)
        if self._facts or self._reading is None:
            return self._facts
        return await asyncio.shield(self._reading)

    def _keep(self, reading: asyncio.Task[Mapping[str, ModelFacts]]) -> None:
        if reading is not self._reading:
            return  # the catalogue was reloaded meanwhile
        self._reading = None
        if not reading.cancelled() and reading.exception() is None:
            self._facts = reading.result()
            self._until = time.monotonic() + FRESH


def read_facts(catalogue: Catalogue) -> Mapping[str, ModelFacts]:
    """Read the facts of every enabled model."""
    models = catalogue.folder("models")
    since = _modified(catalogue.path)
    return {
        model.id: read_model_facts(model, models, since)
        for model in catalogue.models.values()
        if model.enabled
    }


def read_model_facts(model: Model, models: Path, since: float) -> ModelFacts:
    """Read the facts of one model. `since` is when the catalogue was changed (seconds since 1970)."""
    folder, commit = _find_files(model, models)
    config = _read_config(folder)
    inner: dict[str, Any] = next((config[key] for key in _INNER if isinstance(config.get(key), dict)), {})
    merged = config | inner
    kind = merged.get("model_type") or config.get("model_type")
    method = (config.get("quantization_config") or {}).get("quant_method")
    flag = model.options.get("quantization")
    return ModelFacts(
        id=model.id,
        source=model.source or "",
        revision=commit or model.revision or "",
        family=model.family or "",
        parameters=model.parameters,
        quantization=next((each for each in (flag, method) if isinstance(each, str)), ""),
        architecture=kind if isinstance(kind, str) else "",
        context_length=context_length(model) or _count(merged, "max_position_embeddings"),
        embedding_length=_count(merged, "hidden_size"),
        size=_measure(model, models),
        modified=_modified(folder) if folder and folder.exists() else since,
        abilities=find_abilities(model),
    )


def _find_files(model: Model, models: Path) -> tuple[Path | None, str | None]:
    """The folder with the model's files, and its commit if it is a repository."""
    if not model.source:
        return None, None
    if model.source.startswith("/"):
        return Path(model.source), None
    repository = layout.repository_folder(models, model.source)
    commit = layout.read_commit(repository, model.revision)
    return (repository / "snapshots" / commit if commit else None), commit


def _read_config(folder: Path | None) -> dict[str, Any]:
    if folder is not None:
        with (
            suppress(OSError, msgspec.DecodeError, RecursionError),
            (folder / "config.json").open("rb") as file,
        ):
            return msgspec.json.decode(file.read(MAX_CONFIG), type=dict[str, Any])
    return {}


def _measure(model: Model, models: Path) -> int:
    """Bytes on disk and still to download of the model's own source; 0 if unknown."""
    needs = find_needs(model).sources
    if not needs:
        return 0
    part = inspection.inspect_source(needs[0], models)
    return part.size + (part.bytes_left or 0)


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _count(fields: Mapping[str, Any], name: str) -> int:
    value = fields.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0

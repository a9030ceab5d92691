"""What a model needs on disk before its engine can start."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from sparkd.catalog.definitions import Model
from sparkd.engines.flags import option

CONSOLIDATED = ("load-format", "config-format")
"""Options of vLLM that have it read `consolidated*.safetensors` instead of `model*.safetensors`."""


@dataclass(frozen=True, slots=True)
class Need:
    """A source: a repository at a revision (None: `main`), or a folder. `consolidated`: in Mistral's own format."""

    source: str
    revision: str | None = None
    consolidated: bool = False

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder of this machine, which nobody fetches."""
        return self.source.startswith("/")


@dataclass(frozen=True, slots=True)
class Needs:
    """All of one model: its source first, then other repositories that its options name, then tiktoken's encodings."""

    sources: tuple[Need, ...]
    encodings: tuple[str, ...]


def needs_of(model: Model) -> Needs:
    """What `model` needs. An engine of another kind needs its source where its command names it."""
    sources = tuple(dict.fromkeys(_sources(model))) if model.takes_source and model.source else ()
    return Needs(sources, model.encodings)


def needing(source: str | None, models: Iterable[Model]) -> list[str]:
    """Ids of the models that need this source, as their own or by an option."""
    return [model.id for model in models if any(need.source == source for need in needs_of(model).sources)]


def _sources(model: Model) -> Iterator[Need]:
    mistral = any(option(model.options, name) == "mistral" for name in CONSOLIDATED)
    yield Need(model.source or "", model.revision, mistral)
    for other in (option(model.options, "tokenizer"), _draft(option(model.options, "speculative-config"))):
        if (
            isinstance(other, str)
            and other != model.source
            and (other.startswith("/") or other.count("/") == 1)
        ):
            yield Need(other)


def _draft(told: object) -> object:
    """The smaller model that guesses ahead, as `speculative-config` names it."""
    with suppress(ValueError, TypeError):
        config = json.loads(str(told))
        return config.get("model") if isinstance(config, dict) else None
    return None

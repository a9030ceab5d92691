"""Lists what a model needs on disk before its engine can start."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress

from msgspec import Struct

from sparkd.catalog.definitions import Model
from sparkd.engines.flags import find_option

CONSOLIDATED = ("load-format", "config-format")
"""Options that make vLLM read `consolidated*.safetensors` instead of `model*.safetensors`."""


class Need(Struct, frozen=True):
    """A source: a repository at a revision (None: `main`), or a folder. `consolidated`: in Mistral's format."""

    source: str
    revision: str | None = None
    consolidated: bool = False

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder on this machine, which sparkd does not download."""
        return self.source.startswith("/")


class Needs(Struct, frozen=True):
    """The needs of one model: its source first, then repositories in its options; and tiktoken's encodings."""

    sources: tuple[Need, ...]
    encodings: tuple[str, ...]


def find_needs(model: Model) -> Needs:
    """The needs of `model`. The engine "command" needs its source only if its command names it."""
    sources = tuple(dict.fromkeys(_sources(model))) if model.needs_source and model.source else ()
    return Needs(sources, model.encodings)


def find_models_needing(source: str | None, models: Iterable[Model]) -> list[str]:
    """The ids of the models that need this source, as their source or in an option."""
    return [model.id for model in models if any(need.source == source for need in find_needs(model).sources)]


def _sources(model: Model) -> Iterator[Need]:
    mistral = any(find_option(model.options, name) == "mistral" for name in CONSOLIDATED)
    yield Need(model.source or "", model.revision, mistral)
    for other in (
        find_option(model.options, "tokenizer"),
        _draft_model(find_option(model.options, "speculative-config")),
    ):
        if (
            isinstance(other, str)
            and other != model.source
            and (other.startswith("/") or other.count("/") == 1)
        ):
            yield Need(other)


def _draft_model(value: object) -> object:
    """The draft model in `speculative-config`."""
    with suppress(ValueError, TypeError):
        config = json.loads(str(value))
        return config.get("model") if isinstance(config, dict) else None
    return None

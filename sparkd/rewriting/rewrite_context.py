"""The context of a rewrite: the model, the API of the request, and what else the rules need."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from sparkd.catalog.definitions import Model
from sparkd.catalog.templates import UNKNOWN_TEMPLATE, Template

Api = Literal["chat", "completions", "responses", "messages", "embeddings", "other"]

CONVERSATION_APIS: frozenset[Api] = frozenset({"chat", "responses", "messages"})
GENERATING_APIS: frozenset[Api] = CONVERSATION_APIS | {"completions"}
ALL_APIS: frozenset[Api] = GENERATING_APIS | {"embeddings", "other"}

_APIS: Mapping[tuple[str, ...], Api] = {
    ("v1", "chat", "completions"): "chat",
    ("v1", "completions"): "completions",
    ("v1", "responses"): "responses",
    ("v1", "messages"): "messages",
    ("v1", "embeddings"): "embeddings",
}


def detect_api(path: str) -> Api:
    """The API behind a path such as `/v1/chat/completions`; "other" for one that generates no text."""
    return _APIS.get(tuple(path.partition("?")[0].strip("/").split("/")), "other")


@dataclass(frozen=True, slots=True)
class RewriteContext:
    """The context of one body.

    `name` is the client's name for the model, perhaps a preset. `alternatives` are models that an error may suggest
    instead. `exact_tokens` is the exact number of prompt tokens, if the engine has counted them. `template` is what the
    model's chat template accepts: at first what was read from it, then completed by the catalogue.
    """

    model: Model
    api: Api = "chat"
    name: str | None = None
    alternatives: Collection[Model] = ()
    exact_tokens: int | None = None
    template: Template = UNKNOWN_TEMPLATE
    preset: Mapping[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        rewriting = self.model.rewriting
        object.__setattr__(self, "preset", rewriting.presets.get(self.name or "", {}))
        object.__setattr__(self, "template", rewriting.template.filled_from(self.template))

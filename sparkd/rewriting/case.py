"""For whom a body is mended: the model, the API it is asked through, and what else the rules may know."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from sparkd.catalog.definitions import Model

Api = Literal["chat", "completions", "responses", "messages", "other"]

CONVERSATIONS: frozenset[Api] = frozenset({"chat", "responses", "messages"})
GENERATING: frozenset[Api] = CONVERSATIONS | {"completions"}
EVERY: frozenset[Api] = GENERATING | {"other"}

_APIS: Mapping[tuple[str, ...], Api] = {
    ("v1", "chat", "completions"): "chat",
    ("v1", "completions"): "completions",
    ("v1", "responses"): "responses",
    ("v1", "messages"): "messages",
}


def api_of(path: str) -> Api:
    """The API behind a path such as `/v1/chat/completions`; "other" for one that generates no text."""
    return _APIS.get(tuple(path.partition("?")[0].strip("/").split("/")), "other")


@dataclass(frozen=True, slots=True)
class Case:
    """One body's circumstances.

    `name` is what the client called the model (a preset, perhaps); `peers` the models that may be named to it
    instead; `counted` the prompt's exact tokens, where the engine has counted them.
    """

    model: Model
    api: Api = "chat"
    name: str | None = None
    peers: Collection[Model] = ()
    counted: int | None = None
    preset: Mapping[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "preset", self.model.rewriting.presets.get(self.name or "", {}))

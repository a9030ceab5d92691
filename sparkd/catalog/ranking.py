"""The best models for a task, and the model to start with."""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import Final

from sparkd.catalog.definitions import Model
from sparkd.catalog.labels import Tag

FIRST_MODEL_TAGS: Final[tuple[Tag, ...]] = ("chat", "small")
"""Tags of a first model: chat if possible, or at least small."""


def rank_models(models: Iterable[Model], tag: Tag) -> list[Model]:
    """Return the models to use for a task, the best first.

    Order: validated models first; uncensored models after others, unless the task is "uncensored"; models with a better
    alternative last; then by the position of the tag; then models with limits for OpenCode.
    """

    def rank(model: Model) -> tuple[int | bool, ...]:
        return (
            model.status != "validated",
            tag != "uncensored" and "uncensored" in model.tags,
            bool(model.instead),
            model.tags.index(tag),
            model.clients.opencode.context is None,
        )

    offered = [
        model for model in models if tag in model.tags and model.status in ("validated", "experimental")
    ]
    return sorted(offered, key=rank)


def choose_first_model(models: Iterable[Model], runtimes: Container[str]) -> Model | None:
    """Return the model to start with: the best chat model that runs on one of `runtimes`, if there is one.

    None if every model is disabled.
    """
    enabled = [model for model in models if model.enabled]
    offered = [model for model in enabled if model.runtime in runtimes] or enabled
    best_models = [model for tag in FIRST_MODEL_TAGS for model in rank_models(offered, tag)]
    return next(iter([*best_models, *offered]), None)

"""Which model for what, and which to begin with."""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import Final

from sparkd.catalog.definitions import Model
from sparkd.catalog.labels import Tag

BEGINNINGS: Final[tuple[Tag, ...]] = ("chat", "small")
"""What a first model is for: to talk to, or at least small."""


def best(models: Iterable[Model], tag: Tag) -> list[Model]:
    """Return the models to use for a task, the best first.

    A validated model goes before one that is not; who has no refusals is for those who ask for that, and who has a
    better one in its place is last; then what is best for just this, then what clients are set up for.
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


def to_begin_with(models: Iterable[Model], runtimes: Container[str]) -> Model | None:
    """Return the model to begin with: the best to talk to of those that run on one of `runtimes`, if any does.

    None where no model may run.
    """
    enabled = [model for model in models if model.enabled]
    offered = [model for model in enabled if model.runtime in runtimes] or enabled
    good = [model for tag in BEGINNINGS for model in best(offered, tag)]
    return next(iter([*good, *offered]), None)

"""Names that stand for several models, `[server.choices]` and `warm`: which model serves a request.

The first model of the list that is loaded wins, otherwise the first that loads already, otherwise the first that could
be loaded. So the clients of one name share a model, and a conversation stays with its model for as long as that one is
loaded and no model that is listed before it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from sparkd.catalog.definitions import Model
from sparkd.catalog.tasks import find_tasks
from sparkd.gateway.engine_paths import Endpoint
from sparkd.scheduling.lifecycle import Residency


class Loads(Protocol):
    """What is loaded."""

    def residency(self, model: Model) -> Residency:
        """Whether the model is loaded now."""
        ...

    def can_load(self, model: Model) -> bool:
        """Whether the model could be loaded, if models that are not pinned leave."""
        ...


def choose_model(models: Sequence[Model], endpoint: Endpoint | None, loads: Loads) -> Model:
    """The model that serves a request to this endpoint; `models` has at least one.

    If none is able to, it is the first one, whose error the client gets.
    """
    able = [model for model in models if _can_serve(model, endpoint)] or models
    for wanted in ("loaded", "loading"):
        for model in able:
            if loads.residency(model) == wanted:
                return model
    return next((model for model in able if loads.can_load(model)), able[0])


def _can_serve(model: Model, endpoint: Endpoint | None) -> bool:
    if endpoint is None or not endpoint.tasks:
        return True
    tasks = find_tasks(model)
    return tasks is None or not tasks.isdisjoint(endpoint.tasks)

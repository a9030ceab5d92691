"""Chooses the model for a request that names a choice.

The first model that is loaded and can do what the request needs serves it; if there is none, the first one that loads
already, or else the first one that can be loaded. So a conversation stays with one model as long as that model is
loaded, although another one is, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol, TypeVar

from sparkd.catalog.choices import Choice, Found
from sparkd.catalog.definitions import Model
from sparkd.errors import ContextExceeded, ImagesNotSupported, InvalidRequest, RequestError
from sparkd.rewriting.context_window import context_length
from sparkd.scheduling.lifecycle import Residency
from sparkd.upstream.client import Upstream

PreparedT = TypeVar("PreparedT")


class Residents(Protocol):
    """Knows which models are loaded: the supervisor."""

    def can_load(self, model: Model) -> bool:
        """Whether a request could load the model: it is on disk, has not failed, and fits beside what must stay."""
        ...

    def residency(self, model: Model) -> Residency:
        """Whether the model is loaded now."""
        ...

    def ready_upstream(self, model: Model) -> Upstream | None:
        """The client of the model's engine, without a lease; None unless the model is ready."""
        ...


class Chooser:
    """Chooses among models by what is loaded."""

    def __init__(self, residents: Residents) -> None:
        self._residents = residents

    def choose(
        self,
        choice: Choice,
        prepare: Callable[[Found], PreparedT],
        loses: Callable[[PreparedT], bool] = lambda _: False,
    ) -> PreparedT:
        """Prepare the request for the first model that can serve it.

        `prepare` raises RequestError for a model that cannot, and InvalidRequest if no model can. A model for which the
        request `loses` something comes after all others. Raises the last error if no model can serve the request.
        """
        lossy: list[PreparedT] = []
        failure = RequestError(f'No model of "{choice.name}" can serve this request.', param="model")
        failed: Model | None = None
        for found in self._order(choice):
            if failed is not None and _fails_too(found.model, failed, failure):
                continue
            try:
                prepared = prepare(found)
            except InvalidRequest:
                raise
            except RequestError as error:
                failed, failure = found.model, error
                continue
            if not loses(prepared):
                return prepared
            lossy.append(prepared)
        if not lossy:
            raise failure
        return lossy[0]

    def choose_by_state(self, found: Found) -> Model:
        """The model to load or to unload: the one that would serve a request that needs nothing special."""
        return found.model if found.choice is None else next(self._order(found.choice)).model

    def _order(self, choice: Choice) -> Iterator[Found]:
        """Loaded models, then those that load, then those that can be loaded, then the others.

        Each group is in the order of the choice. What is not needed is not found out.
        """
        residents, rest = self._residents, list(choice.candidates)
        ranks: tuple[Callable[[Model], bool], ...] = (
            lambda model: residents.ready_upstream(model) is not None,
            lambda model: residents.residency(model) == "loading",
            residents.can_load,
        )
        for has_rank in ranks:
            others = []
            for found in rest:
                if has_rank(found.model):
                    yield found
                else:
                    others.append(found)
            rest = others
        yield from rest


def _fails_too(model: Model, failed: Model, error: RequestError) -> bool:
    """Whether a request that another model rejected would fail here for the same reason: to try takes long."""
    match error:
        case ContextExceeded():
            length = context_length(model)
            return length is not None and length <= (context_length(failed) or 0)
        case ImagesNotSupported():
            return not (model.vision or model.rewriting.drop_images)
        case _:
            return False

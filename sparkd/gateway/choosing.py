"""Chooses the model for a request that names a choice.

The first model that is loaded and can do what the request needs serves it; if there is none, the first one that can be
loaded. So a conversation stays with one model as long as that model is loaded, although another one is, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, Protocol, TypeVar

from sparkd.catalog.choices import Choice, Found
from sparkd.catalog.definitions import Model
from sparkd.errors import ContextExceeded, ImagesNotSupported, InvalidRequest, RequestError
from sparkd.rewriting.context_window import context_length
from sparkd.upstream.client import Upstream

PreparedT = TypeVar("PreparedT")

LOSSES: Final = frozenset({"drop-images", "strip-tools"})
"""Rules that remove something that the client wants the model to use."""


class Residents(Protocol):
    """Knows which models are loaded: the supervisor."""

    def can_load(self, model: Model) -> bool:
        """Whether a request could load the model: it is on disk, has not failed, and fits beside what must stay."""
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

    def _order(self, choice: Choice) -> Iterator[Found]:
        """Loaded models, then those that can be loaded, then the others, each group in the order of the choice."""
        others, rest = [], []
        for found in choice.candidates:
            if self._residents.ready_upstream(found.model) is None:
                others.append(found)
            else:
                yield found
        for found in others:
            if self._residents.can_load(found.model):
                yield found
            else:
                rest.append(found)
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

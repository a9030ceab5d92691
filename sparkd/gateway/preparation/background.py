"""Requests in the background: which other model serves one whose own model is not loaded.

The title of a chat is not worth the minutes of a load, and never the model that somebody else uses. Such a request is
served by the utility model, or by another model that is loaded, if one can. Otherwise it waits: the scheduler loads its
model into free memory, or once somebody else wants the model.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Protocol

from msgspec import structs

from sparkd.catalog import Catalogue
from sparkd.catalog.client import Client
from sparkd.catalog.definitions import Model
from sparkd.errors import ModelNotLoaded
from sparkd.gateway.admission.client_recognition import ClientRecognizer
from sparkd.gateway.request_head import RequestHead
from sparkd.rewriting import JsonBody
from sparkd.rewriting.rewrite_context import CONVERSATION_APIS, Api
from sparkd.upstream.client import Upstream

REWRITE: Final = "background-model"
"""The name in `x-sparkd-rewrites` for a request that another model serves."""

LOSSES: Final = frozenset({"drop-images", "strip-tools"})
"""Rules that take something away from a request: a model that needs them cannot do what was requested."""


class Residents(Protocol):
    """Knows which models are ready: the supervisor."""

    def ready_upstream(self, model: Model) -> Upstream | None:
        """The client of the model's engine, without a lease; None unless the model is ready."""
        ...

    def can_start_without_eviction(self, model: Model) -> bool:
        """Whether a background request for the model would be served without the eviction of another one."""
        ...

    def can_load(self, model: Model) -> bool:
        """Whether a request could load the model: it is on disk, has not failed, and fits beside what must stay."""
        ...


class BackgroundRouter:
    """Finds who serves a request whose model is not loaded."""

    def __init__(self, catalogue: Catalogue, recognizer: ClientRecognizer, residents: Residents) -> None:
        self._policy = catalogue.settings.queue.background
        self._recognizer = recognizer
        self._residents = residents
        # The utility model first: of two loaded models, it is the one that is meant for small jobs.
        enabled = [model for model in catalogue.models.values() if model.enabled]
        self._models = sorted(enabled, key=lambda model: model.lifecycle != "utility")

    def find_substitutes(
        self, request: RequestHead, api: Api, model: Model, asked: str | None, body: JsonBody
    ) -> Iterator[Model]:
        """The models that may serve the request instead, the best one first; none unless it is in the background.

        `asked` is the model's name in the request. Sets `request.client`. Raises ModelNotLoaded for a probe.
        """
        if self._residents.ready_upstream(model) is not None:
            return iter(())
        client, is_probe = self._recognizer.recognize_body(request, api, model, asked, body)
        if is_probe:
            raise ModelNotLoaded(
                f'"{model.id}" is not loaded, and this looks like a health check, for which sparkd does not load it '
                "(`queue.probes`, `[clients.<name>]`). Any longer request loads it."
            )
        request.client = self._apply_policy(client)
        # Embeddings of another model would be useless, and a completion may have special tokens of its own model.
        if not request.client.background or self._policy != "reroute" or api not in CONVERSATION_APIS:
            return iter(())
        return self._list_available(request, model)

    def _apply_policy(self, client: Client) -> Client:
        if client.background and self._policy == "serve":
            return structs.replace(client, background=False)
        return client

    def _list_available(self, request: RequestHead, requested: Model) -> Iterator[Model]:
        residents, policy = self._residents, request.policy
        for model in self._models:
            if model is requested or not (policy is None or policy.allows(model)):
                continue
            if residents.ready_upstream(model) is not None or (
                model.lifecycle == "utility"
                and residents.can_start_without_eviction(model)
                and residents.can_load(model)
            ):
                yield model

"""Models that answer requests in the background whose own model is not loaded: titles, tags, summaries.

Nobody waits for such an answer enough to unload the model that somebody uses. In this order:

1. the utility model, if it is loaded, or can be loaded without an eviction
2. any other loaded model that generates text, the smallest first
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final, Protocol

from msgspec import structs

from sparkd.catalog import Catalogue
from sparkd.catalog.definitions import Model
from sparkd.catalog.tasks import find_tasks
from sparkd.errors import RequestError
from sparkd.gateway.key_accounts import KeyAccount
from sparkd.gateway.naming import Named
from sparkd.gateway.request_head import RequestHead
from sparkd.gateway.suitability import Suitability
from sparkd.hub import inspection
from sparkd.rewriting.rewrite_context import CONVERSATION_APIS, Api
from sparkd.upstream.client import Upstream

if TYPE_CHECKING:
    from sparkd.gateway.prepared_request import PreparedRequest

FRESH: Final = 30.0
"""Seconds after which it is checked again whether a model is on disk."""

UNWANTED_REWRITES: Final = frozenset({"drop-images", "strip-tools"})
"""Rules that remove a part of the request which its own model might have used."""


class Loader(Protocol):
    """What substitutes need of the supervisor."""

    def ready_upstream(self, model: Model) -> Upstream | None:
        """The client of the model's engine, None unless the model is ready."""
        ...

    def can_start_without_eviction(self, model: Model) -> bool:
        """Whether the model could be loaded without the eviction of another one."""
        ...


class Substitutes:
    """The substitutes of one catalogue. Belongs to one event loop."""

    def __init__(self, catalogue: Catalogue, loader: Loader) -> None:
        able = [model for model in catalogue.models.values() if model.enabled and _generates(model)]
        self._utility = next((model for model in able if model.lifecycle == "utility"), None)
        others = [model for model in able if model is not self._utility]
        self._others = sorted(others, key=lambda model: model.memory or float("inf"))
        self._loader = loader
        self._folder = catalogue.folder("models")
        self._on_disk = False
        self._checked = -FRESH
        self._check: asyncio.Task[bool] | None = None

    def prepare(
        self,
        request: RequestHead,
        model: Model,
        named: Named,
        suitability: Suitability,
        prepare: Callable[[Model], PreparedRequest],
    ) -> PreparedRequest | None:
        """Prepare a request for `model` for the first substitute that can do all of it; None if there is none.

        `prepare` prepares the request for another model.
        """
        for substitute in self.candidates(model, named.api, request.account):
            if substitute.engine == "command" and named.api != "chat":
                continue  # its program may not serve the path
            try:
                suitability.check(request, substitute, named)
                prepared = prepare(substitute)
            except RequestError:  # no tools, no images, or too long for it
                continue
            if prepared.deferred_count is None and UNWANTED_REWRITES.isdisjoint(prepared.rewrites):
                request.model = substitute.id
                rewrites = ("background", *prepared.rewrites)
                return structs.replace(prepared, rewrites=rewrites, served_by=substitute.id)
        return None

    def candidates(self, model: Model, api: Api, account: KeyAccount | None) -> Iterator[Model]:
        """The models that may answer a request for `model` in its place, the best first; none if it is ready."""
        if api not in CONVERSATION_APIS or self._loader.ready_upstream(model) is not None:
            return
        may_use = None if account is None else account.models
        utility = self._utility
        if utility is not None and (may_use is None or utility.id in may_use) and self._is_available(utility):
            if utility is model:
                return
            yield utility
        for other in self._others:
            is_allowed = other is not model and (may_use is None or other.id in may_use)
            if is_allowed and self._loader.ready_upstream(other) is not None:
                yield other

    def _is_available(self, utility: Model) -> bool:
        if self._loader.ready_upstream(utility) is not None:
            return True
        return self._loader.can_start_without_eviction(utility) and self._is_on_disk(utility)

    def _is_on_disk(self, utility: Model) -> bool:
        """Whether the utility model was on disk when a thread last looked. Never waits for the disk."""
        if self._check is None and time.monotonic() >= self._checked + FRESH:
            check = asyncio.to_thread(inspection.is_complete, utility, self._folder)
            self._check = asyncio.ensure_future(check)
            self._check.add_done_callback(self._keep)
        return self._on_disk

    def _keep(self, check: asyncio.Task[bool]) -> None:
        self._check = None
        self._checked = time.monotonic()
        self._on_disk = not check.cancelled() and check.exception() is None and check.result()


def _generates(model: Model) -> bool:
    """Whether the model writes text about anything: one for scans does not."""
    tasks = find_tasks(model)
    if tasks is None or "generate" not in tasks:
        return False
    return "ocr" not in model.tags or "chat" in model.tags

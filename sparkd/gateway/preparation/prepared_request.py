"""The request to send to an engine, with everything that its response needs."""

from __future__ import annotations

from msgspec import Struct

from sparkd.catalog.definitions import Model
from sparkd.gateway.preparation.background import LOSSES
from sparkd.gateway.preparation.deferred_count import DeferredTokenCount
from sparkd.gateway.preparation.token_counting import TokenCount
from sparkd.gateway.preparation.translation import Translation
from sparkd.upstream.client import EngineRequest


class PreparedRequest(Struct, frozen=True):
    """The request to send to which model's engine. A body that is an Upload must be closed in the end.

    `rewrites` names the rules that changed the request; `deferred_count` is to be applied once the engine is ready.
    `echo` is the name that the response must have for the model; None if it may keep the engine's. `count` answers a
    request that only counts tokens, without the model if need be. `is_substitute`: it is in the background, and another
    model serves it than the requested one. `is_chosen`: the requested name stands for several models, see choosing.py.
    `translation` serves the request in another API than the engine's. `keep_alive` is how long (seconds) the model
    stays loaded while it is idle afterwards, None if the request does not say. `is_streamed`: the client wants a
    stream. `asks_usage`: the engine is asked for the usage, and the client has not asked.
    """

    model: Model
    request: EngineRequest
    rewrites: tuple[str, ...] = ()
    deferred_count: DeferredTokenCount | None = None
    echo: str | None = None
    count: TokenCount | None = None
    is_substitute: bool = False
    translation: Translation | None = None
    keep_alive: float | None = None
    is_chosen: bool = False
    is_streamed: bool = False
    asks_usage: bool = False


def is_lossy(prepared: PreparedRequest) -> bool:
    """Whether something was removed from the request that the client wants the model to use."""
    return not LOSSES.isdisjoint(prepared.rewrites)

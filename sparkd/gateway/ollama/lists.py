"""`/api/version`, `/api/tags`, `/api/ps` and `/api/show`. They start nothing and wait for no engine."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from msgspec import structs
from starlette.requests import Request
from starlette.responses import Response

from sparkd import __version__
from sparkd.catalog.choices import Choice
from sparkd.errors import PathForbidden
from sparkd.gateway.admission.key_policies import list_choices
from sparkd.gateway.endpoints import respond
from sparkd.gateway.ollama.generation import find_model, read_object
from sparkd.gateway.request_head import request_head
from sparkd.ollama import cards
from sparkd.ollama.cards import ModelFacts
from sparkd.ollama.documents import encode
from sparkd.ollama.pulls import describe_owner_path
from sparkd.ollama.requests import read_name
from sparkd.ollama.times import NEVER
from sparkd.scheduling.status import USED_MODELS

if TYPE_CHECKING:
    from sparkd.gateway.app import Gateway


async def version(request: Request) -> Response:
    """The version of the API, and sparkd's own."""
    return respond(request, encode(cards.version_document(__version__)))


async def tags(request: Request) -> Response:
    """Every enabled model, and the choices."""
    gateway = _gateway(request)
    known = await _read_allowed(gateway, request)
    policy = request_head(request.scope).policy
    choices = list_choices(gateway.catalogue, policy)
    facts = [*known.values(), *(_choice_facts(choice, known) for choice in choices)]
    return respond(request, encode({"models": list(map(cards.tag, facts))}))


def _choice_facts(choice: Choice, known: Mapping[str, cards.ModelFacts]) -> cards.ModelFacts:
    """Those of the first model: this is the one that is loaded if none is."""
    return structs.replace(known[choice.models[0].id], id=choice.name)


async def ps(request: Request) -> Response:
    """The models that are ready."""
    gateway = _gateway(request)
    known = await _read_allowed(gateway, request)
    now = time.time()
    entries = []
    for status in gateway.host.status(USED_MODELS).models:
        facts = known.get(status.id)
        if status.state != "ready" or facts is None:
            continue
        left = status.idle_seconds_left
        if left is None and status.in_flight and not status.pinned:
            left = gateway.catalogue.models[status.id].idle_timeout  # it is in use
        size = status.memory_used or status.footprint
        entries.append(cards.running(facts, now + left if left is not None else NEVER, size))
    return respond(request, encode({"models": entries}))


async def show(request: Request) -> Response:
    """One model. Raises InvalidRequest, ModelNotFound and ModelDisabled."""
    gateway = _gateway(request)
    body = await read_object(gateway, request_head(request.scope), request.receive)
    model = find_model(gateway, request_head(request.scope), read_name(body)).model
    known = await gateway.facts.read_all(gateway.catalogue)
    return respond(request, encode(cards.show(known[model.id])))


async def reject_owner_path(request: Request) -> Response:
    """Raise PathForbidden, with the command that the owner uses instead."""
    raise PathForbidden(describe_owner_path(request.url.path.split("/")[2]))


async def _read_allowed(gateway: Gateway, request: Request) -> Mapping[str, ModelFacts]:
    """The facts about the enabled models that the key may use."""
    known, policy = await gateway.facts.read_all(gateway.catalogue), request_head(request.scope).policy
    if policy is None or policy.models is None:
        return known
    return {id_: facts for id_, facts in known.items() if id_ in policy.models}


def _gateway(request: Request) -> Gateway:
    gateway: Gateway = request.app.state.gateway
    return gateway

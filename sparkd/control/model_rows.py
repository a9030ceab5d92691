"""`GET /models`: one compact row for each model of the catalogue, also for ten thousand of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Protocol

import msgspec
from msgspec import Struct, structs
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from sparkd.catalog import Catalogue
from sparkd.catalog.definitions import Lifecycle, Model
from sparkd.catalog.labels import Status, Tag
from sparkd.control.encoded import EncodedBody, encode_body
from sparkd.control.interfaces import SupervisorInterface
from sparkd.control.inventory import Inventory, OnDisk
from sparkd.editing.files import names_of
from sparkd.learning.load_estimates import PastLoad
from sparkd.ollama.abilities import find_abilities
from sparkd.scheduling.memory import Basis, Footprint
from sparkd.scheduling.status import StateName
from sparkd.supervising.model_facts import UsedModel
from sparkd.usage.model_uses import ModelUse


class ModelRow(Struct, frozen=True, kw_only=True):
    """A model. `abilities` are tools, vision, thinking, embedding and so on. `file` defines it. None is unknown.

    `footprint` is bytes and `basis` where that comes from. `last_used` is a time, `load_time` the median of its loads
    in seconds, `speed` tokens a second of one request. `reason` is why it is disabled or has its status.
    """

    id: str
    description: str
    aliases: tuple[str, ...]
    family: str | None
    parameters: str
    context: int | None
    tags: tuple[Tag, ...]
    abilities: tuple[str, ...]
    engine: str
    runtime: str | None
    source: str | None
    lifecycle: Lifecycle
    pinned: bool
    status: Status
    reason: str
    enabled: bool
    file: str
    footprint: int | None = None
    basis: Basis | None = None
    state: StateName = "stopped"
    quarantined: bool = False
    held: bool = False
    disk: OnDisk | None = None
    last_used: float | None = None
    loads: int | None = None
    load_time: float | None = None
    speed: float | None = None


class LoadSteps(Struct, frozen=True, kw_only=True):
    """One past load: seconds in total and of each phase. `warm` is None if that was not recorded."""

    seconds: float
    phases: Mapping[str, float]
    warm: bool | None


class FactSource(Protocol):
    """Facts about all models at once: `sparkd.supervising.model_facts`."""

    def used(self) -> dict[str, UsedModel]:
        """The models that were used since sparkd started."""
        ...

    def footprint(self, model: Model) -> Footprint:
        """What the model's next launch reserves."""
        ...

    def load_times(self) -> Mapping[str, float]:
        """The median load time of each model, in seconds."""
        ...

    def loads(self, model: Model) -> list[PastLoad]:
        """The recorded loads of a model."""
        ...


UsageSource = Callable[[], Awaitable[Mapping[str, ModelUse]]]
"""What is recorded about each model."""


async def no_usage() -> Mapping[str, ModelUse]:
    """Nothing is known."""
    return {}


def model_row_routes(
    supervisor: SupervisorInterface, facts: FactSource, usage: UsageSource = no_usage
) -> list[BaseRoute]:
    """The routes of all models, and of one model's past loads."""
    rows = ModelRows(supervisor, facts, usage)

    async def loads(request: Request) -> Response:
        model = supervisor.catalogue.find_including_disabled(request.path_params["model"])
        past = [
            LoadSteps(seconds=each.seconds, phases=each.phases, warm=each.is_warm)
            for each in facts.loads(model)
        ]
        return Response(msgspec.json.encode(past), media_type="application/json")

    return [
        Route("/models", rows.respond, methods=["GET"]),
        Route("/models/{model:path}/loads", loads, methods=["GET"]),
    ]


class ModelRows:
    """Rows of the current catalogue. What rarely changes is kept, and the response as long as nothing changes."""

    def __init__(self, supervisor: SupervisorInterface, facts: FactSource, usage: UsageSource) -> None:
        self._supervisor = supervisor
        self._facts = facts
        self._usage = usage
        self._inventory = Inventory()
        self._catalogue: Catalogue | None = None
        self._rows: list[ModelRow] = []
        self._inputs: object = None
        self._body: EncodedBody | None = None
        self._lock = asyncio.Lock()

    async def respond(self, request: Request) -> Response:
        """The response to `GET /models`."""
        async with self._lock:
            body = await self._build(self._supervisor.catalogue)
        return body.respond(request)

    async def _build(self, catalogue: Catalogue) -> EncodedBody:
        if self._catalogue is not catalogue:
            self._rows = await asyncio.to_thread(_list_rows, catalogue, self._facts)
            self._catalogue, self._body = catalogue, None
        on_disk, usage = await self._inventory.get(catalogue), await self._usage()
        load_times, used = self._facts.load_times(), self._facts.used()
        inputs = (on_disk, usage, load_times, used)
        if self._body is None or inputs != self._inputs:
            rows = self._rows
            self._body = await asyncio.to_thread(
                lambda: encode_body([_complete(row, *inputs) for row in rows])
            )
            self._inputs = inputs
        return self._body


def _list_rows(catalogue: Catalogue, facts: FactSource) -> list[ModelRow]:
    names = names_of(catalogue.path)
    return [_describe(model, catalogue, names, facts.footprint(model)) for model in catalogue.models.values()]


def _describe(model: Model, catalogue: Catalogue, names: Mapping[Path, str], size: Footprint) -> ModelRow:
    file = catalogue.locate_key(model)[0]
    return ModelRow(
        id=model.id,
        description=model.description,
        aliases=model.aliases,
        family=model.family,
        parameters=model.parameters,
        context=model.context_length,
        tags=model.tags,
        abilities=find_abilities(model),
        engine=model.engine,
        runtime=model.runtime,
        source=model.source,
        lifecycle=model.lifecycle,
        pinned=model.pinned,
        status=model.status,
        reason=model.reason,
        enabled=model.enabled,
        file=names.get(file, str(file)),
        footprint=size.bytes,
        basis=size.basis,
    )


def _complete(
    row: ModelRow,
    on_disk: Mapping[str, OnDisk],
    usage: Mapping[str, ModelUse],
    load_times: Mapping[str, float],
    used: Mapping[str, UsedModel],
) -> ModelRow:
    """The row with what changes."""
    now, past = used.get(row.id), usage.get(row.id, ModelUse())
    disk, load_time = on_disk.get(row.id), load_times.get(row.id)
    if now is None:
        if disk is None and load_time is None and past == ModelUse():
            return row
        last_used = past.last_used
    else:
        last_used = now.last_used or past.last_used
    changes: dict[str, object] = {
        "disk": disk,
        "load_time": load_time,
        "last_used": last_used,
        "loads": past.loads,
        "speed": past.speed,
    }
    if now is not None:
        changes |= {
            "state": now.state,
            "quarantined": now.quarantined,
            "held": now.held,
            "footprint": now.footprint,
            "basis": now.basis,
        }
    return structs.replace(row, **changes)

"""From a client's request to its engine's: reads as much of the body as it takes to know the model.

| body | model named in the head | else |
|---|---|---|
| none | passed on | refused |
| JSON | read whole, rewritten | read whole, rewritten |
| form | passed on as it comes | read up to its `model` field, then passed on |
| anything else | passed on as it comes | taken for JSON |

On the paths of APIs that generate text every plain body is taken for JSON, whatever it is said to be.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Set
from dataclasses import dataclass, replace
from typing import Any

from sparkd.catalog import Catalogue
from sparkd.catalog.definitions import Model
from sparkd.errors import InvalidRequest
from sparkd.gateway.asgi import Receive
from sparkd.gateway.body import Limits, Upload, read_whole, receive_body
from sparkd.gateway.counting import Doubt
from sparkd.gateway.forward import Watching
from sparkd.gateway.multipart import FieldFinder
from sparkd.gateway.naming import Named
from sparkd.gateway.request import Request
from sparkd.gateway.watch import Watch
from sparkd.machine.upstream import EngineRequest
from sparkd.rewriting import Case, JsonBody, api_of, rewrite
from sparkd.rewriting.telling import told

journal = logging.getLogger("sparkd.gateway")


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What to ask of which model's engine, and the watch over the client who wants it.

    `mended` names the rules that changed the request; `doubt` is to be settled once the engine is ready.
    """

    model: Model
    request: EngineRequest
    watch: Watching
    mended: tuple[str, ...] = ()
    doubt: Doubt | None = None


class Preparation:
    """One request being made ready. `task` is cancelled when its client leaves later on."""

    def __init__(
        self,
        request: Request,
        named: Named,
        catalogue: Catalogue,
        *,
        receive: Receive,
        task: asyncio.Task[Any],
        without: Set[bytes],
        stall: float,
    ) -> None:
        self._request = request
        self._named = named
        self._catalogue = catalogue
        self._receive = receive
        self._task = task
        self._without = without
        self._api = api_of(named.target.decode())
        self._limits = Limits(catalogue.settings.server.max_body, stall)

    async def finish(self) -> Outgoing:
        """Read what must be read. Raises InvalidRequest, ModelNotFound, ModelDisabled, BodyTooLarge, ClientLeft."""
        request, model = self._request, self._named.model
        if not request.has_body:
            if model is None:
                raise self._named.missing
            return self._whole(model, b"")
        self._limits.check(request.length or 0)
        if model is not None and not self._is_read:
            return self._streamed(model, b"", request.length, more=True)
        if not request.is_plain:
            raise InvalidRequest(
                "A compressed body is not read here: send it plain, or name the model in the path."
            )
        if request.is_form:
            return await self._form()
        body = JsonBody.parse(await read_whole(self._receive, request.length, self._limits))
        return self._rewritten(model or self._find(body.model), body)

    def _rewritten(self, model: Model, body: JsonBody) -> Outgoing:
        names = (self._named.name, body.model)
        preset = next((name for name in names if name in model.rewriting.presets), None)
        case = Case(model, self._api, preset, self._catalogue.models.values())
        rewritten = rewrite(case, body)
        if rewritten.steps and journal.isEnabledFor(logging.DEBUG):
            journal.debug("%s: %s", self._request.identify().decode("latin-1"), told(rewritten))
        whole = self._whole(model, rewritten.body.encode())
        return replace(whole, mended=rewritten.mended, doubt=Doubt.about(case, body, rewritten.body))

    @property
    def _is_read(self) -> bool:
        """Whether a body whose model is known must be read: APIs that generate take nothing but JSON."""
        return self._request.is_plain and (self._request.is_json or self._api != "other")

    async def _form(self) -> Outgoing:
        """Read a form up to its `model`, which is replaced by the id: engines know no aliases."""
        finder = FieldFinder(self._request.fields[b"content-type"], b"model")
        more, size = True, 0
        while more and finder.value is None and not finder.ended:
            message = await receive_body(self._receive, self._limits.stall)
            size += len(message["body"])
            self._limits.check(size)
            finder.feed(message["body"])
            more = message["more_body"]
        model = self._find(finder.value.decode("utf-8", "replace") if finder.value is not None else None)
        ahead = finder.replaced(model.id.encode())
        length = self._request.length
        if length is not None:
            length += len(ahead) - size
        return self._streamed(model, ahead, length, more=more)

    def _find(self, name: str | None) -> Model:
        if not name:
            raise self._named.missing
        return self._catalogue.find(name)

    def _whole(self, model: Model, body: bytes) -> Outgoing:
        return Outgoing(model, self._engine_request(body, None), Watch(self._receive, self._task))

    def _streamed(self, model: Model, ahead: bytes, length: int | None, *, more: bool) -> Outgoing:
        upload = Upload(self._receive, self._task, limits=self._limits, ahead=ahead, more=more)
        return Outgoing(model, self._engine_request(upload, length), upload)

    def _engine_request(self, body: bytes | Upload, length: int | None) -> EngineRequest:
        request = self._request
        return EngineRequest(request.method, self._named.target, request.headers, body, length, self._without)

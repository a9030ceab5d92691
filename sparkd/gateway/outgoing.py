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

import logging
from collections.abc import Set

from msgspec import Struct

from sparkd.catalog import Catalogue
from sparkd.catalog.definitions import Model
from sparkd.errors import InvalidRequest
from sparkd.gateway.asgi import Receive
from sparkd.gateway.body import Limits, Upload, read_whole, receive_body
from sparkd.gateway.counting import Doubt
from sparkd.gateway.multipart import FieldFinder
from sparkd.gateway.naming import Named
from sparkd.gateway.request import Request
from sparkd.rewriting import JsonBody, RequestRewriter, RewriteContext, detect_api
from sparkd.rewriting.rewrite_context import Api
from sparkd.rewriting.summary import summarize
from sparkd.upstream.client import EngineRequest

journal = logging.getLogger("sparkd.gateway")


class Outgoing(Struct, frozen=True):
    """What to ask of which model's engine. A body that is an Upload is to be closed in the end.

    `rewrites` names the rules that changed the request; `doubt` is to be settled once the engine is ready.
    """

    model: Model
    request: EngineRequest
    rewrites: tuple[str, ...] = ()
    doubt: Doubt | None = None


class Preparation(Struct):
    """One request being made ready. `without` names headers that the engine is not given."""

    request: Request
    named: Named
    catalogue: Catalogue
    rewriter: RequestRewriter
    receive: Receive
    limits: Limits
    without: Set[bytes]

    async def finish(self) -> Outgoing:
        """Read what must be read. Raises InvalidRequest, ModelNotFound, ModelDisabled, BodyTooLarge, ClientLeft."""
        request, model = self.request, self.named.model
        if not request.has_body:
            if model is None:
                raise self.named.missing
            return Outgoing(model, self._asking(b"", 0))
        self.limits.check(request.length or 0)
        api = detect_api(self.named.target.decode())
        if model is not None and not (request.is_plain and (request.is_json or api != "other")):
            return Outgoing(model, self._asking(Upload(self.receive, self.limits), request.length))
        if not request.is_plain:
            raise InvalidRequest(
                "A compressed body is not read here: send it plain, or name the model in the path."
            )
        if request.is_form:
            return await self._form()
        body = JsonBody.parse(await read_whole(self.receive, request.length, self.limits))
        return self._rewritten(model or self._find(body.model), api, body)

    def _rewritten(self, model: Model, api: Api, body: JsonBody) -> Outgoing:
        names = (self.named.name, body.model)
        preset = next((name for name in names if name in model.rewriting.presets), None)
        context = RewriteContext(model, api, preset, self.catalogue.models.values())
        result = self.rewriter.rewrite(context, body)
        if result.steps and journal.isEnabledFor(logging.DEBUG):
            journal.debug("%s: %s", self.request.identify().decode("latin-1"), summarize(result))
        asking = self._asking(result.body.encode(), 0)
        return Outgoing(model, asking, result.rewrites, Doubt.about(context, body, result.body))

    async def _form(self) -> Outgoing:
        """Read a form up to its `model`, which is replaced by the id: engines know no aliases."""
        finder = FieldFinder(self.request.fields[b"content-type"], b"model")
        more, size = True, 0
        while more and finder.value is None and not finder.ended:
            message = await receive_body(self.receive, self.limits.stall)
            size += len(message["body"])
            self.limits.check(size)
            finder.feed(message["body"])
            more = message["more_body"]
        model = self._find(finder.value.decode("utf-8", "replace") if finder.value is not None else None)
        ahead = finder.replaced(model.id.encode())
        length = self.request.length
        if length is not None:
            length += len(ahead) - size
        return Outgoing(
            model, self._asking(Upload(self.receive, self.limits, ahead=ahead, more=more), length)
        )

    def _find(self, name: str | None) -> Model:
        if not name:
            raise self.named.missing
        model = self.catalogue.find(name)
        self.request.model = model.id
        return model

    def _asking(self, body: bytes | bytearray | Upload, length: int | None) -> EngineRequest:
        request = self.request
        return EngineRequest(request.method, self.named.target, request.headers, body, length, self.without)

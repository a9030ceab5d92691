"""From a client's request to its engine's: reads as much of the body as it takes to know the model.

| body | model named in the head | else |
|---|---|---|
| none | passed on | refused |
| JSON | read whole, rewritten | read whole, rewritten |
| form | passed on as it comes | read up to its `model` field, then passed on |
| anything else | passed on as it comes | taken for JSON |
"""

from __future__ import annotations

from collections.abc import Set

from msgspec import Struct

from sparkd.catalog import Catalogue
from sparkd.catalog.definitions import Model
from sparkd.errors import InvalidRequest
from sparkd.gateway.asgi import Receive
from sparkd.gateway.body import Limits, Upload, read_whole, receive_body
from sparkd.gateway.multipart import FieldFinder
from sparkd.gateway.naming import Named
from sparkd.gateway.request import Request
from sparkd.machine.upstream import EngineRequest
from sparkd.rewriting import JsonBody, rewrite

Outgoing = tuple[Model, EngineRequest]
"""What to ask of which model's engine. A body that is an Upload is to be closed in the end."""


class Preparation(Struct):
    """One request being made ready. `without` names headers that the engine is not given."""

    request: Request
    named: Named
    catalogue: Catalogue
    receive: Receive
    limits: Limits
    without: Set[bytes]

    async def finish(self) -> Outgoing:
        """Read what must be read. Raises InvalidRequest, ModelNotFound, ModelDisabled, BodyTooLarge, ClientLeft."""
        request, model = self.request, self.named.model
        if not request.has_body:
            if model is None:
                raise self.named.missing
            return model, self._asking(b"", 0)
        self.limits.check(request.length or 0)
        if model is not None and not (request.is_json and request.is_plain):
            return model, self._asking(Upload(self.receive, self.limits), request.length)
        if not request.is_plain:
            raise InvalidRequest(
                "A compressed body is not read here: send it plain, or name the model in the path."
            )
        if request.is_form:
            return await self._form()
        body = JsonBody.parse(await read_whole(self.receive, request.length, self.limits))
        if model is None:
            model = self._find(body.model)
        return model, self._asking(rewrite(model, body), 0)

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
        return model, self._asking(Upload(self.receive, self.limits, ahead=ahead, more=more), length)

    def _find(self, name: str | None) -> Model:
        if not name:
            raise self.named.missing
        return self.catalogue.find(name)

    def _asking(self, body: bytes | Upload, length: int | None) -> EngineRequest:
        request = self.request
        return EngineRequest(request.method, self.named.target, request.headers, body, length, self.without)

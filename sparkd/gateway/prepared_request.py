"""Turns a client's request into the request to its engine. Reads only as much of the body as that takes.

| body | the head names the model | it does not |
|---|---|---|
| none | passed on | rejected |
| JSON | read in full, rewritten | read in full, rewritten |
| form | streamed | read up to its `model` field, then streamed |
| anything else | streamed | read as JSON |

On the paths of APIs that generate text every uncompressed body is read as JSON, whatever its content type.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Set
from functools import lru_cache, partial

from msgspec import Struct
from starlette.types import Receive

from sparkd.catalog import Catalogue
from sparkd.catalog.definitions import Model
from sparkd.catalog.templates import Template
from sparkd.errors import InvalidRequest
from sparkd.gateway.body import Limits, Upload, read_body, receive_body
from sparkd.gateway.deferred_count import DeferredTokenCount
from sparkd.gateway.multipart import FieldFinder
from sparkd.gateway.naming import Named, named_in_head
from sparkd.gateway.paths import MAX_CACHED
from sparkd.gateway.request_head import RequestHead
from sparkd.rewriting import JsonBody, RequestRewriter, RewriteContext
from sparkd.rewriting.rewrite_context import Api
from sparkd.rewriting.summary import summarize
from sparkd.upstream.client import EngineRequest

logger = logging.getLogger(__name__)


class PreparedRequest(Struct, frozen=True):
    """The request to send to which model's engine. A body that is an Upload must be closed in the end.

    `rewrites` names the rules that changed the request; `deferred_count` is to be applied once the engine is ready.
    """

    model: Model
    request: EngineRequest
    rewrites: tuple[str, ...] = ()
    deferred_count: DeferredTokenCount | None = None


class Preparer:
    """Prepares requests by one catalogue. `without` names headers that engines do not get.

    `template_of` returns what is known of a model's chat template. It is called once for a model.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        body_stall: float,
        without: Set[bytes],
        template_of: Callable[[Model], Template],
    ) -> None:
        self._catalogue = catalogue
        self._named = partial(named_in_head, catalogue)
        self._named_cached = lru_cache(maxsize=1024)(self._named)
        self._rewriter = RequestRewriter()
        self._contexts: dict[tuple[str, Api, str | None], RewriteContext] = {}
        self._limits = Limits(catalogue.settings.server.max_body, body_stall)
        self._without = without
        self._template_of = template_of

    def name(self, request: RequestHead, segments: tuple[str, ...]) -> Named:
        """The model and the target that the head names. Raises ModelNotFound, ModelDisabled and InvalidRequest."""
        is_short = len(request.raw_path) + len(request.query) <= MAX_CACHED
        find = self._named_cached if is_short else self._named
        named = find(segments, request.query)
        if named.model is not None:
            request.model = named.model.id
        return named

    async def prepare(self, request: RequestHead, named: Named, receive: Receive) -> PreparedRequest:
        """Read what must be read of the body.

        Raises InvalidRequest, ModelNotFound, ModelDisabled, BodyTooLarge, RequestTimeout and ClientDisconnected.
        """
        model = named.model
        if not request.has_body:
            if model is None:
                raise named.missing.with_traceback(None)  # it is one object for many requests
            return PreparedRequest(model, self._engine_request(request, named, b"", 0))
        self._limits.check(request.length or 0)
        if model is not None and not (request.is_plain and (request.is_json or named.api != "other")):
            upload = Upload(receive, self._limits)
            return PreparedRequest(model, self._engine_request(request, named, upload, request.length))
        if not request.is_plain:
            raise InvalidRequest(
                "A compressed body cannot be read here: send it uncompressed, or name the model in the path."
            )
        if request.is_form:
            return await self._prepare_form(request, named, receive)
        return self.prepare_json(request, named, await read_body(receive, request.length, self._limits))

    def prepare_json(self, request: RequestHead, named: Named, data: bytes | bytearray) -> PreparedRequest:
        """Prepare a request whose body is JSON; keeps `data`. Raises InvalidRequest, ModelNotFound and others."""
        self._limits.check(len(data))
        body = JsonBody.parse(data)
        model = named.model or self._find(request, named, body.model)
        context = self._context(model, named, body.model)
        rewritten = self._rewriter.rewrite(context, body)
        if rewritten.steps and logger.isEnabledFor(logging.DEBUG):
            logger.debug("%s: %s", request.identify().decode("latin-1"), summarize(rewritten))
        return PreparedRequest(
            model,
            self._engine_request(request, named, rewritten.body.encode(), 0),
            rewritten.rewrites,
            DeferredTokenCount.needed_for(context, body, rewritten.body),
        )

    def _context(self, model: Model, named: Named, name_in_body: str | None) -> RewriteContext:
        presets = model.rewriting.presets
        names = (named.name, name_in_body) if presets else ()
        preset = next((name for name in names if name in presets), None)
        key = (model.id, named.api, preset)
        context = self._contexts.get(key)
        if context is None:
            context = self._contexts[key] = RewriteContext(
                model,
                named.api,
                preset,
                self._catalogue.models.values(),
                template=self._template_of(model),
            )
        return context

    async def _prepare_form(self, request: RequestHead, named: Named, receive: Receive) -> PreparedRequest:
        """Read a form up to its `model`, which is replaced by the id: engines know no aliases."""
        finder = FieldFinder(request.fields[b"content-type"], b"model")
        more, size = True, 0
        while more and finder.value is None and not finder.ended:
            message = await receive_body(receive, self._limits.stall)
            size += len(message["body"])
            self._limits.check(size)
            finder.feed(message["body"])
            more = message["more_body"]
        value = finder.value.decode("utf-8", "replace") if finder.value is not None else None
        model = self._find(request, named, value)
        ahead = finder.replaced(model.id.encode())
        length = request.length
        if length is not None:
            length += len(ahead) - size
        upload = Upload(receive, self._limits, ahead=ahead, more=more)
        return PreparedRequest(model, self._engine_request(request, named, upload, length))

    def _find(self, request: RequestHead, named: Named, name: str | None) -> Model:
        if not name:
            raise named.missing.with_traceback(None)  # it is one object for many requests
        model = self._catalogue.find(name)
        request.model = model.id
        return model

    def _engine_request(
        self, request: RequestHead, named: Named, body: bytes | bytearray | Upload, length: int | None
    ) -> EngineRequest:
        return EngineRequest(request.method, named.target, request.headers, body, length, self._without)

"""Turns a client's request into the request to its engine. Reads only as much of the body as that takes.

| body | the head names the model | it does not |
|---|---|---|
| none | passed on | rejected |
| JSON | read in full, rewritten | read in full, rewritten |
| form | read up to its `model` field, at most 64 KiB, then streamed | read up to its `model` field, then streamed |
| anything else | streamed | read as JSON |

Where an engine takes only JSON, every body is read as JSON, whatever its content type, and sent on as JSON. A
compressed body is decompressed first: engines get it plain. Whether the model can serve the request is checked as soon
as the model is known.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Set
from functools import lru_cache, partial

from msgspec import Struct, structs
from starlette.types import Receive

from sparkd.catalog import Catalogue
from sparkd.catalog.definitions import Model
from sparkd.catalog.templates import Template
from sparkd.errors import InvalidRequest, RequestError
from sparkd.gateway.background import LOSSES, REWRITE, BackgroundRouter
from sparkd.gateway.body import Limits, Upload, read_body, receive_body
from sparkd.gateway.choices import Loads, choose_model
from sparkd.gateway.content_coding import DecompressedBody, parse_codings
from sparkd.gateway.deferred_count import DeferredTokenCount
from sparkd.gateway.keep_alive import KEEP_ALIVE_FIELDS, read_keep_alive
from sparkd.gateway.key_policies import check_allowed
from sparkd.gateway.multipart import FieldFinder
from sparkd.gateway.naming import Named, named_in_head
from sparkd.gateway.paths import MAX_CACHED
from sparkd.gateway.request_head import RequestHead
from sparkd.gateway.suitability import Suitability, check_has_body, check_media_type, check_method
from sparkd.gateway.token_counting import TokenCount, find_counted_api, is_count
from sparkd.gateway.translation import Translation
from sparkd.rewriting import JsonBody, RequestRewriter, RewriteContext
from sparkd.rewriting.prompt_check import check_prompt
from sparkd.rewriting.rewrite_context import Api
from sparkd.rewriting.summary import summarize
from sparkd.upstream.client import EngineRequest

logger = logging.getLogger(__name__)

_JSON = b"application/json"
_URL_ENCODED = b"application/x-www-form-urlencoded"
_FORM_AHEAD = 64 * 1024
"""Bytes of a form that are searched for its `model` if path or query name the model. Clients send files last."""

_BEFORE_JSON = b" \t\r\n\xef\xbb\xbf"
"""White space, and the bytes of a byte order mark."""


class PreparedRequest(Struct, frozen=True):
    """The request to send to which model's engine. A body that is an Upload must be closed in the end.

    `rewrites` names the rules that changed the request; `deferred_count` is to be applied once the engine is ready.
    `echo` is the name that the response must have for the model; None if it may keep the engine's. `count` answers a
    request that only counts tokens, without the model if need be. `is_substitute`: it is in the background, and another
    model serves it than the requested one. `is_chosen`: the requested name stands for several models, see choices.py.
    `translation` serves the request in another API than the engine's. `keep_alive` is how long (seconds) the model
    stays loaded while it is idle afterwards, None if the request does not say.
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


class Preparer:
    """Prepares requests by one catalogue. `without` names headers that engines do not get.

    `template_of` returns what is known of a model's chat template. It is called once for a model. `background` finds
    who serves a request in the background. `may_operate` is whether a client may decide how long a model stays loaded,
    and `loads` knows what is loaded.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        body_stall: float,
        without: Set[bytes],
        template_of: Callable[[Model], Template],
        background: BackgroundRouter,
        *,
        may_operate: Callable[[RequestHead], bool],
        loads: Loads,
    ) -> None:
        self._catalogue = catalogue
        self._named = partial(named_in_head, catalogue)
        self._named_cached = lru_cache(maxsize=1024)(self._named)
        self._rewriter = RequestRewriter()
        self._contexts: dict[tuple[str, Api, str | None], RewriteContext] = {}
        self._limits = Limits(catalogue.settings.server.max_body, body_stall)
        self._suitability = Suitability(catalogue)
        self._background = background
        self._without = without
        self._template_of = template_of
        self._may_operate = may_operate
        self._loads = loads
        self._echoes = catalogue.settings.server.echo_model

    def name(self, request: RequestHead, segments: tuple[str, ...]) -> Named:
        """The model and the target that the head names. Raises ModelNotFound, ModelDisabled and InvalidRequest."""
        is_short = len(request.raw_path) + len(request.query) <= MAX_CACHED
        find = self._named_cached if is_short else self._named
        named = find(segments, request.query)
        if named.model is not None:
            request.model = named.model.id
        return named

    async def prepare(self, request: RequestHead, named: Named, receive: Receive) -> PreparedRequest:
        """Read what must be read of the body. Raises RequestError and ClientDisconnected."""
        model = named.model
        if model is not None:
            self._check_model(request, model, named)
        if not request.has_body:
            if model is None:
                check_method(request, named)
                raise named.missing.with_traceback(None)  # it is one object for many requests
            check_has_body(model, named)
            return PreparedRequest(
                model,
                self._engine_request(request, model, named, b"", length=0),
                echo=self._echo(model, named.asked),
            )
        self._limits.check(request.length or 0)
        check_media_type(request, model, named)
        receive, length = self._decompress(request, receive)
        takes_json = named.endpoint is not None and named.endpoint.body == "json" and not request.is_form
        takes_form = named.endpoint is not None and named.endpoint.body == "form" and request.is_form
        if model is not None and not (request.is_json or takes_json or takes_form):
            upload = Upload(receive, self._limits)
            return PreparedRequest(
                model,
                self._engine_request(request, model, named, upload, length=length),
                echo=self._echo(model, named.asked),
            )
        if request.is_form:
            return await self._prepare_form(request, named, receive, length)
        return self.prepare_json(request, named, await self._read_json(request, receive, length))

    def _decompress(self, request: RequestHead, receive: Receive) -> tuple[Receive, int | None]:
        """What to read the body from, and its length if it is known. Raises EncodingNotSupported."""
        if request.is_plain:
            return receive, request.length
        values = [value for name, value in request.headers if name == b"content-encoding"]
        if not (codings := parse_codings(values)):
            return receive, request.length
        return DecompressedBody(receive, codings, self._limits), None

    async def read_json(self, request: RequestHead, receive: Receive) -> bytes | bytearray:
        """Read a body that must be JSON. Raises RequestError and ClientDisconnected."""
        self._limits.check(request.length or 0)
        return await self._read_json(request, *self._decompress(request, receive))

    async def _read_json(
        self, request: RequestHead, receive: Receive, length: int | None
    ) -> bytes | bytearray:
        """Read a body that must be JSON. `curl -d` calls JSON a form, too."""
        data = await read_body(receive, length, self._limits)
        if request.content_type.startswith(_URL_ENCODED) and not data.lstrip(_BEFORE_JSON).startswith(b"{"):
            raise InvalidRequest(
                "The body is a form (application/x-www-form-urlencoded). Send a JSON object, with "
                "`Content-Type: application/json`."
            )
        return data

    def prepare_json(self, request: RequestHead, named: Named, data: bytes | bytearray) -> PreparedRequest:
        """Prepare a request whose body is JSON; keeps `data`. Raises InvalidRequest, ModelNotFound and others."""
        self._limits.check(len(data))
        body = JsonBody.parse(data)
        model = named.model or self._find(request, named, body.model)
        self._check_model(request, model, named)
        if named.endpoint is not None and not named.endpoint.is_plain_json:
            check_media_type(request, model, named)
            if is_count(model, named.endpoint):
                return self._prepare_count(request, model, named, body)
        asked = body.model or named.asked
        for other in self._background.find_substitutes(request, named.api, model, asked, body):
            if (prepared := self._try_substitute(request, other, named, body)) is not None:
                return prepared
        return self._prepare_for(request, model, named, body)

    def _try_substitute(
        self, request: RequestHead, model: Model, named: Named, body: JsonBody
    ) -> PreparedRequest | None:
        """Prepare the request for this model instead of the requested one; None if the model cannot do the task."""
        try:
            self._suitability.check(request, model, named)
            prepared = self._prepare_for(request, model, named, body)
        except RequestError:
            return None
        if prepared.deferred_count is not None or not LOSSES.isdisjoint(prepared.rewrites):
            return None
        request.model = model.id
        return structs.replace(prepared, rewrites=(*prepared.rewrites, REWRITE), is_substitute=True)

    def _prepare_for(
        self, request: RequestHead, model: Model, named: Named, body: JsonBody
    ) -> PreparedRequest:
        context = self._context(model, named, body.model)
        keep_alive: float | None = None
        notes: tuple[str, ...] = ()
        if not KEEP_ALIVE_FIELDS.isdisjoint(body.fields):
            keep_alive, notes = self._read_keep_alive(request, body)
            body = body.without(KEEP_ALIVE_FIELDS)
        rewritten = self._rewriter.rewrite(context, body)
        check_prompt(context, rewritten.body)
        if rewritten.steps and logger.isEnabledFor(logging.DEBUG):
            logger.debug("%s: %s", request.identify().decode("latin-1"), summarize(rewritten))
        return PreparedRequest(
            model,
            self._engine_request(
                request, model, named, rewritten.body.encode(), length=0, content_type=_JSON
            ),
            (*rewritten.rewrites, *notes) if notes else rewritten.rewrites,
            DeferredTokenCount.needed_for(context, body, rewritten.body),
            self._echo(model, body.model or named.asked),
            keep_alive=keep_alive,
            is_chosen=named.model is None and self._is_choice(body.model),
        )

    def _is_choice(self, name: str | None) -> bool:
        return name is not None and bool(self._catalogue.find_choice(name))

    def _read_keep_alive(self, request: RequestHead, body: JsonBody) -> tuple[float | None, tuple[str, ...]]:
        """How long the model is to stay loaded, and what the response's header says if the client may not decide it.

        Raises InvalidRequest.
        """
        keep_alive = read_keep_alive(body.fields)
        if keep_alive is None or self._may_operate(request):
            return keep_alive, ()
        return None, ("ignored-keep-alive",)

    def _check_model(self, request: RequestHead, model: Model, named: Named) -> None:
        """Raise RequestError if the key may not use the model, or the model cannot serve the request."""
        check_allowed(request.policy, model)
        self._suitability.check(request, model, named)

    def _prepare_count(
        self, request: RequestHead, model: Model, named: Named, body: JsonBody
    ) -> PreparedRequest:
        api = find_counted_api(named.path, body)
        context = self._context(model, structs.replace(named, api=api), body.model)
        count = TokenCount.make(context, named.path, body, self._rewriter)
        data = count.body.encode()
        engine_request = self._engine_request(request, model, named, data, length=0, content_type=_JSON)
        return PreparedRequest(model, engine_request, count=count)

    def _context(self, model: Model, named: Named, name_in_body: str | None) -> RewriteContext:
        presets = model.rewriting.presets
        names = (named.name, self._catalogue.canonical_name(name_in_body or "")) if presets else ()
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

    async def _prepare_form(
        self, request: RequestHead, named: Named, receive: Receive, length: int | None
    ) -> PreparedRequest:
        """Read a form up to its `model`, which is replaced by the id: engines know no aliases."""
        finder = FieldFinder(request.fields[b"content-type"], b"model")
        most = self._limits.size if named.model is None else _FORM_AHEAD
        more, size = True, 0
        while more and finder.value is None and not finder.ended and size < most:
            message = await receive_body(receive, self._limits.stall)
            size += len(message["body"])
            self._limits.check(size)
            finder.feed(message["body"])
            more = message["more_body"]
        if finder.value is None and named.model is None:
            # The engine wants the field, so a default model does not help.
            raise named.missing.with_traceback(None)  # it is one object for many requests
        value = (finder.value or b"").decode("utf-8", "replace") or named.asked
        model = named.model or self._find(request, named, value)
        self._check_model(request, model, named)
        ahead = finder.replaced(model.id.encode())
        if length is not None:
            length += len(ahead) - size
        upload = Upload(receive, self._limits, ahead=ahead, more=more)
        return PreparedRequest(
            model,
            self._engine_request(request, model, named, upload, length=length),
            echo=self._echo(model, value),
        )

    def _find(self, request: RequestHead, named: Named, name: str | None) -> Model:
        if name and (models := self._catalogue.find_choice(name)):
            model = choose_model(models, named.endpoint, self._loads)
            request.model = model.id
            return model
        # The engine of the default model does not have a path that begins with an unknown name.
        found = self._catalogue.resolve_or_default(name) if name or named.is_path_known else None
        if found is None:
            raise named.missing.with_traceback(None)  # it is one object for many requests
        request.model = found.model.id
        return found.model

    def _echo(self, model: Model, asked: str | None) -> str | None:
        """The name for the response, unless it is the id: engines get that in the request, and answer with it."""
        if not self._echoes or not asked or asked == model.id:
            return None
        return asked

    def _engine_request(
        self,
        request: RequestHead,
        model: Model,
        named: Named,
        body: bytes | bytearray | Upload,
        *,
        length: int | None,
        content_type: bytes | None = None,
    ) -> EngineRequest:
        """The request as the engine gets it: with this content type, or the client's own."""
        target = named.vllm_target if model.engine == "vllm" else named.target
        headers, without = request.headers, self._without
        if not request.is_plain:
            without = without | {b"content-encoding"}
        if content_type and not request.is_of_type(content_type):
            request.identify()  # before the headers are copied: the engine gets the id as well
            headers = [(b"content-type", content_type)]
            headers += [header for header in request.headers if header[0] != b"content-type"]
        return EngineRequest(request.method, target, headers, body, length, without)

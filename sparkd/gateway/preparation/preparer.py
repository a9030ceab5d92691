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
from typing import Protocol

from msgspec import structs
from starlette.types import Receive

from sparkd.catalog import Catalogue
from sparkd.catalog.choices import Choice, Found
from sparkd.catalog.definitions import Model
from sparkd.catalog.templates import Template
from sparkd.errors import RequestError
from sparkd.gateway.admission.key_policies import check_allowed
from sparkd.gateway.measuring.asking import UsageAsking, is_streamed
from sparkd.gateway.preparation.background import REWRITE, BackgroundRouter
from sparkd.gateway.preparation.body import Limits, Upload, receive_body
from sparkd.gateway.preparation.body_reader import BodyReader
from sparkd.gateway.preparation.choosing import Chooser
from sparkd.gateway.preparation.deferred_count import DeferredTokenCount
from sparkd.gateway.preparation.engine_requests import build_engine_request
from sparkd.gateway.preparation.keep_alive import take_keep_alive
from sparkd.gateway.preparation.multipart import FieldFinder
from sparkd.gateway.preparation.naming import Named, named_in_head
from sparkd.gateway.preparation.paths import MAX_CACHED
from sparkd.gateway.preparation.prepared_request import PreparedRequest, is_lossy
from sparkd.gateway.preparation.rewrite_contexts import RewriteContexts
from sparkd.gateway.preparation.suitability import (
    Suitability,
    check_has_body,
    check_media_type,
    check_method,
    takes_json,
)
from sparkd.gateway.preparation.token_counting import TokenCount, find_counted_api, is_count
from sparkd.gateway.request_head import RequestHead
from sparkd.rewriting import JsonBody, RequestRewriter
from sparkd.rewriting.prompt_check import check_prompt
from sparkd.rewriting.summary import summarize
from sparkd.usage.captured import CaptureRule

logger = logging.getLogger(__name__)

_JSON = b"application/json"
_FORM_AHEAD = 64 * 1024
"""Bytes of a form that are searched for its `model` if path or query name the model. Clients send files last."""


class Received(Protocol):
    """Keeps what clients send, while `rule` is not None."""

    rule: CaptureRule | None

    def receive(self, request: RequestHead, data: bytes | bytearray) -> None:
        """A client has sent this body."""
        ...


class Preparer:
    """Prepares requests by one catalogue. `without` names headers that engines do not get.

    `template_of` returns what is known of a model's chat template. `background` finds who serves a request in the
    background, and `chooser` chooses among the models of a choice. `may_operate` is whether a client may decide how
    long a model stays loaded. `captures` keeps what clients send, if its `rule` is not None.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        body_stall: float,
        without: Set[bytes],
        template_of: Callable[[Model], Template],
        background: BackgroundRouter,
        *,
        chooser: Chooser,
        may_operate: Callable[[RequestHead], bool],
        captures: Received,
    ) -> None:
        self._captures = captures
        self._catalogue = catalogue
        self._named = partial(named_in_head, catalogue)
        self._named_cached = lru_cache(maxsize=1024)(self._named)
        self._rewriter = RequestRewriter()
        self._asking = UsageAsking()
        self._contexts = RewriteContexts(catalogue, template_of)
        self._limits = Limits(catalogue.settings.server.max_body, body_stall)
        self._reader = BodyReader(self._limits)
        self._suitability = Suitability(catalogue)
        self._background = background
        self.chooser = chooser
        self._engine_request = partial(build_engine_request, without)
        self._may_operate = may_operate
        self._echoes = catalogue.settings.server.echo_model

    def name(self, request: RequestHead, segments: tuple[str, ...]) -> Named:
        """The model and the target that the head names. Raises ModelNotFound, ModelDisabled and InvalidRequest."""
        is_short = len(request.raw_path) + len(request.query) <= MAX_CACHED
        find = self._named_cached if is_short else self._named
        named = find(segments, request.query)
        request.asked = named.asked
        if named.model is not None:
            request.model = named.model.id
        return named

    async def prepare(self, request: RequestHead, named: Named, receive: Receive) -> PreparedRequest:
        """Read what must be read of the body. Raises RequestError and ClientDisconnected."""
        if named.choice is not None and not takes_json(request, named):
            named = structs.replace(named, model=self._choose_by_head(request, named, named.choice))
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
                is_chosen=named.choice is not None,
            )
        self._limits.check(request.length or 0)
        check_media_type(request, model, named)
        receive, length = self._reader.decompress(request, receive)
        takes_form = named.endpoint is not None and named.endpoint.body == "form" and request.is_form
        if model is not None and not (takes_json(request, named) or takes_form):
            upload = Upload(receive, self._limits)
            return PreparedRequest(
                model,
                self._engine_request(request, model, named, upload, length=length),
                echo=self._echo(model, named.asked),
                is_chosen=named.choice is not None,
            )
        if request.is_form:
            return await self._prepare_form(request, named, receive, length)
        return self.prepare_json(request, named, await self._reader.read_json(request, receive, length))

    async def read_json(self, request: RequestHead, receive: Receive) -> bytes | bytearray:
        """Read a body that must be JSON. Raises RequestError and ClientDisconnected."""
        self._limits.check(request.length or 0)
        data = await self._reader.read_json(request, *self._reader.decompress(request, receive))
        if self._captures.rule is not None:
            self._captures.receive(request, data)
        return data

    def prepare_json(self, request: RequestHead, named: Named, data: bytes | bytearray) -> PreparedRequest:
        """Prepare a request whose body is JSON; keeps `data`. Raises InvalidRequest, ModelNotFound and others."""
        self._limits.check(len(data))
        if self._captures.rule is not None:
            self._captures.receive(request, data)
        body = JsonBody.parse(data)
        request.asked = body.model or named.asked
        if named.model is not None:
            return self._prepare_body(request, named.model, named, body)
        choice = named.choice
        if choice is None:
            found = self._find(request, named, body.model)
            if found.choice is None:
                return self._prepare_body(request, found.model, named, body)
            choice = found.choice
        return self.chooser.choose(choice, partial(self._prepare_chosen, request, named, body), is_lossy)

    def _prepare_chosen(
        self, request: RequestHead, named: Named, body: JsonBody, found: Found
    ) -> PreparedRequest:
        """Prepare the request for one model of a choice. Raises RequestError."""
        named = structs.replace(named, name=found.name)
        prepared = self._prepare_body(request, found.model, named, body)
        request.model = prepared.model.id
        return structs.replace(prepared, is_chosen=True)

    def _prepare_body(
        self, request: RequestHead, model: Model, named: Named, body: JsonBody
    ) -> PreparedRequest:
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
        if prepared.deferred_count is not None or is_lossy(prepared):
            return None
        request.model = model.id
        rewrites = (*prepared.rewrites, REWRITE)
        return structs.replace(prepared, rewrites=rewrites, keep_alive=None, is_substitute=True)

    def _prepare_for(
        self, request: RequestHead, model: Model, named: Named, body: JsonBody
    ) -> PreparedRequest:
        context = self._contexts.find(model, named, body.model)
        body, keep_alive, notes = take_keep_alive(body, lambda: self._may_operate(request))
        rewritten = self._rewriter.rewrite(context, body)
        check_prompt(context, rewritten.body)
        streamed = is_streamed(rewritten.body)
        asking = self._asking.ask(model, named.api, rewritten.body) if streamed else rewritten.body
        asks_usage = asking is not rewritten.body
        if rewritten.steps and logger.isEnabledFor(logging.DEBUG):
            logger.debug("%s: %s", request.identify().decode("latin-1"), summarize(rewritten))
        return PreparedRequest(
            model,
            self._engine_request(request, model, named, asking.encode(), length=0, content_type=_JSON),
            (*rewritten.rewrites, *notes) if notes else rewritten.rewrites,
            DeferredTokenCount.needed_for(context, body, rewritten.body, asks_usage=asks_usage),
            self._echo(model, body.model or named.asked),
            keep_alive=keep_alive,
            is_streamed=streamed,
            asks_usage=asks_usage,
        )

    def _check_model(self, request: RequestHead, model: Model, named: Named) -> Model:
        """The model. Raises RequestError if the key may not use it, or it cannot serve the request."""
        check_allowed(request.policy, model)
        self._suitability.check(request, model, named)
        return model

    def _prepare_count(
        self, request: RequestHead, model: Model, named: Named, body: JsonBody
    ) -> PreparedRequest:
        api = find_counted_api(named.path, body)
        context = self._contexts.find(model, structs.replace(named, api=api), body.model)
        count = TokenCount.make(context, named.path, body, self._rewriter)
        data = count.body.encode()
        engine_request = self._engine_request(request, model, named, data, length=0, content_type=_JSON)
        return PreparedRequest(model, engine_request, count=count)

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
        value = request.asked = (finder.value or b"").decode("utf-8", "replace") or named.asked
        model, choice = named.model, named.choice
        if model is None:
            found = self._find(request, named, value)
            choice = found.choice
            model = self._choose_by_head(request, named, choice) if choice else found.model
        self._check_model(request, model, named)
        ahead = finder.replaced(model.id.encode())
        if length is not None:
            length += len(ahead) - size
        upload = Upload(receive, self._limits, ahead=ahead, more=more)
        return PreparedRequest(
            model,
            self._engine_request(request, model, named, upload, length=length),
            echo=self._echo(model, value),
            is_chosen=choice is not None,
        )

    def _choose_by_head(self, request: RequestHead, named: Named, choice: Choice) -> Model:
        """The model of the choice that serves the request, by what its head says. Raises RequestError."""
        model = self.chooser.choose(choice, lambda found: self._check_model(request, found.model, named))
        request.model = model.id
        return model

    def _find(self, request: RequestHead, named: Named, name: str | None) -> Found:
        # The engine of the default model does not have a path that begins with an unknown name.
        found = self._catalogue.resolve_or_default(name) if name or named.is_path_known else None
        if found is None:
            raise named.missing.with_traceback(None)  # it is one object for many requests
        request.model = found.model.id
        return found

    def _echo(self, model: Model, asked: str | None) -> str | None:
        """The name for the response, unless it is the id: engines get that in the request, and answer with it."""
        if not self._echoes or not asked or asked == model.id:
            return None
        return asked

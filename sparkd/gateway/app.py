"""Everything that the gateway's port serves.

Access is checked before a body is read and before anything is started.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence

from msgspec import structs
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from sparkd.catalog import Catalogue
from sparkd.catalog.definitions import Model as ModelDefinition
from sparkd.catalog.reading.keys import Keys
from sparkd.catalog.templates import Template
from sparkd.errors import InvalidRequest, NotSupported, PathForbidden, SparkdError
from sparkd.gateway.admission.access import Access
from sparkd.gateway.admission.client_recognition import ClientRecognizer
from sparkd.gateway.admission.key_limits import KeyLimits
from sparkd.gateway.admission.key_policies import make_policies
from sparkd.gateway.capturing.captures import Captures
from sparkd.gateway.endpoints import Forward, KeyRequired, Model, Models, ModelsOfOne, preflight
from sparkd.gateway.forwarding import Forwarding
from sparkd.gateway.heartbeats.silence import SilenceWatch
from sparkd.gateway.holding import holding_routes
from sparkd.gateway.measuring.recorder import Recorder
from sparkd.gateway.model_list import ModelList
from sparkd.gateway.ollama.facts import FactsCache
from sparkd.gateway.ollama.interfaces import Host
from sparkd.gateway.ollama.routes import ollama_routes
from sparkd.gateway.operating import operator_routes
from sparkd.gateway.preparation.background import BackgroundRouter
from sparkd.gateway.preparation.body import STALL
from sparkd.gateway.preparation.choosing import Chooser
from sparkd.gateway.preparation.paths import MAX_CACHED, Path, parse_path
from sparkd.gateway.preparation.prepared_request import PreparedRequest
from sparkd.gateway.preparation.preparer import Preparer
from sparkd.gateway.preparation.token_counting import TokenCount
from sparkd.gateway.request_head import HEAD, RequestHead
from sparkd.gateway.request_log import RequestLog
from sparkd.gateway.responses.error_responses import EXCEPTION_HANDLERS
from sparkd.gateway.responses.public_errors import public_error
from sparkd.gateway.responses.response_writer import ResponseWriter
from sparkd.gateway.status_endpoints import Health, ModelHealth, Nothing, Overview, Root, Version
from sparkd.scheduling.lifecycle import Residency
from sparkd.scheduling.model_state import ModelState

ENGINE_PATHS = (
    # vLLM's paths beside /v1 that only answer about a model (vllm/entrypoints, 0.33)
    *("/tokenize", "/detokenize", "/classify", "/pooling", "/rerank", "/score"),
    # Cohere's API, as vLLM serves it
    *("/v2/embed", "/v2/rerank"),
)
"""Paths beside /v1 that are forwarded."""

HEALTH_PATHS = ("/healthz", "/health", "/ping", "/v1/health", "/v1/ping")
"""Paths that say that sparkd serves; open to everybody."""


def _routes() -> list[BaseRoute]:
    forward = Forward()
    return [
        Route("/{path:path}", preflight, methods=["OPTIONS"]),  # CORS
        *(Route(path, Health) for path in HEALTH_PATHS),
        Route("/", Root),
        *(Route(path, Nothing) for path in ("/favicon.ico", "/robots.txt")),
        KeyRequired(
            [
                Route("/v1", Overview),
                *(Route(path, Version) for path in ("/version", "/v1/version")),
                *(Route(f"/v1/{{name:path}}/{end}", ModelHealth) for end in ("health", "ping")),
                *holding_routes(),  # /models/hold, /models/holds
                *operator_routes(),  # /models/load, /models/unload, …; before the names below /v1/models
                Route("/v1/models", Models),  # the catalogue
                Route("/v1/models/{name:path}", Model),
                Route("/v1/{name:path}/models", ModelsOfOne),  # for clients whose base URL is /v1/<model>
                Route("/v1/{path:path}", forward),  # /v1/… and /v1/<model>/…, any method
                *(Route(path, forward) for path in ENGINE_PATHS),  # /tokenize, /rerank, …
                *ollama_routes(),  # /api/chat, …
            ]
        ),
    ]


class Gateway:
    """The ASGI application.

    `template_of` returns what is known of a model's chat template; call `forget_templates` when that has changed.
    `body_stall` is how long (seconds) a client may pause within a body.
    """

    served = (
        "Served here: /v1/…, /v1/<model>/…, /v1/models, /models/load, /models/unload, /api/…, /health, /version, "
        f"{', '.join(ENGINE_PATHS)}."
    )

    def __init__(
        self,
        catalogue: Catalogue,
        supervisor: Host,
        keys: Keys,
        *,
        template_of: Callable[[ModelDefinition], Template],
        body_stall: float = STALL,
    ) -> None:
        self._supervisor = self.host = supervisor
        self._body_stall = body_stall
        self._template_of = template_of
        self.models = ModelList()
        self.facts = FactsCache()
        self.log = RequestLog()
        self.recorder = Recorder(lambda: self.catalogue.settings.usage.record)
        self.limits = KeyLimits()
        self.captures = Captures()
        self.serve(catalogue, keys)
        self._app = Starlette(routes=_routes(), exception_handlers=EXCEPTION_HANDLERS)
        self._app.state.gateway = self

    def serve(self, catalogue: Catalogue, keys: Keys) -> None:
        """Use this catalogue and these keys from now on."""
        self.catalogue = catalogue
        self.access = Access(catalogue.settings.server, keys, policies=make_policies(catalogue))
        self._recognizer = ClientRecognizer(catalogue, keys_required=keys.required)
        self._silence = SilenceWatch(catalogue.settings.heartbeat)
        self.recorder.use_models(catalogue.models)
        self.forget_templates()

    def forget_templates(self) -> None:
        """Ask again what each model's chat template accepts."""
        self.preparer = Preparer(
            self.catalogue,
            self._body_stall,
            self.access.private_headers,
            self._template_of,
            BackgroundRouter(self.catalogue, self._recognizer, self._supervisor),
            chooser=Chooser(self._supervisor),
            may_operate=self.access.may_operate,
            captures=self.captures,
        )

    def add_routes(self, routes: Sequence[BaseRoute]) -> None:
        """Serve these routes, too, before all others. They check access themselves."""
        self._app.router.routes[0:0] = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Its route is that of the address that is meant."""
        self.access.identify_page(scope["state"][HEAD])
        if len(scope["raw_path"]) <= MAX_CACHED:
            with contextlib.suppress(InvalidRequest):  # KeyRequired raises it again
                scope["path"] = "/" + "/".join(parse_path(scope["raw_path"]).segments)
        await self._app(scope, receive, send)

    def admit(self, request: RequestHead) -> Path:
        """Check access and path. Raises InvalidRequest, AccessDenied, Unauthorized, PathForbidden and NotSupported."""
        path = parse_path(request.raw_path)
        self.access.check(request)
        request.client = self._recognizer.recognize(request)
        if path.forbidden is not None:
            raise PathForbidden(f"/{'/'.join(path.segments)} cannot be reached through sparkd.")
        if b"websocket" in request.fields.get(b"upgrade", b"").lower():
            raise NotSupported("WebSockets are not supported.")
        return path

    def forward_now(self, writer: ResponseWriter) -> bool:
        """The shortcut past the router: forward JSON to a model below /v1 if nothing has to be waited for.

        False for everything else, and for whatever is wrong with a request: the router's endpoints report it.
        """
        request = writer.request
        if request.method != b"POST" or not request.is_json or not request.is_plain:
            return False
        try:
            self.access.identify_page(request)
            segments = self.admit(request).segments
            if len(segments) < 2 or segments[0] != "v1" or "models" in (segments[1], segments[-1]):
                return False
            named = self.preparer.name(request, segments)
            if named.endpoint is None or not named.endpoint.is_plain_json:
                return False
            prepared = self.preparer.prepare_json(request, named, writer.cycle.body)
            return self.forwarding(prepared, writer).start()
        except SparkdError:  # nothing was sent: the router's endpoint meets the same error, and reports it
            return False
        except Exception as error:  # noqa: BLE001  # a bug here must not cost the request, which the router can serve
            public_error(error, "forwarding without a task", request)
            return False

    def residency(self, model: ModelDefinition) -> Residency:
        """Whether a model is loaded now."""
        return self._supervisor.residency(model)

    def state(self, model: ModelDefinition) -> ModelState:
        """The state of the model, with the progress of a load or download."""
        return self._supervisor.state(model)

    def forwarding(self, prepared: PreparedRequest, writer: ResponseWriter) -> Forwarding:
        """A forwarding that has not begun. Raises KeyLimitReached."""
        claim = writer.request.claim(prepared.model)
        if prepared.keep_alive is not None:
            claim = structs.replace(claim, keep_alive=prepared.keep_alive)
        lease = self._supervisor.lease(prepared.model, prepared.request, claim)
        writer.request.counted = self.limits.count(writer.request.policy)
        tap = self.captures.forward(writer.request, prepared) if self.captures.rule is not None else None
        return Forwarding(prepared, lease, writer, self.log, self._silence, recorder=self.recorder, tap=tap)

    async def count(self, prepared: PreparedRequest, count: TokenCount) -> tuple[bytes, bool]:
        """The answer to a request that counts tokens, and whether it is an estimate. It does not use the model."""
        return await count.answer(prepared.request, self._supervisor.ready_upstream(prepared.model))

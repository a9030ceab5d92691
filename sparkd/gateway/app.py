"""The gateway as an ASGI application: a dispatcher by path, ahead of any framework.

    any      /healthz               "ok", open to everybody
    OPTIONS  /v1/…                  CORS, open to everybody
    GET      /v1/models[/{name}]    the catalogue; /v1/<model>/models is that model alone
    any      /v1/…, /v1/<model>/…   forwarded, and a few paths beside /v1 (sparkd.gateway.paths)

A key is checked before a body is read and before anything is started.
"""

from __future__ import annotations

from sparkd.catalog import Catalogue
from sparkd.errors import MethodNotAllowed, NotSupported, PathForbidden, PathNotFound
from sparkd.gateway import model_list
from sparkd.gateway.answer import Answer
from sparkd.gateway.asgi import Receive, Scope, Send
from sparkd.gateway.body import STALL, Limits
from sparkd.gateway.errors import error_body, error_headers
from sparkd.gateway.forward import Lender, forward, told
from sparkd.gateway.incidents import Incidents
from sparkd.gateway.keys import Keys
from sparkd.gateway.naming import named_in_head
from sparkd.gateway.outgoing import Preparation
from sparkd.gateway.paths import SERVED, reaches_engines, read_path
from sparkd.gateway.presence import ClientLeft, Presence, presence_in
from sparkd.gateway.request import Request
from sparkd.rewriting import RequestRewriter
from sparkd.upstream.headers import Headers

_JSON: Headers = [(b"content-type", b"application/json")]


class Gateway:
    """ASGI application on the port that clients connect to.

    `body_stall` is how long (seconds) a client may pause in the middle of a body.
    """

    def __init__(
        self, catalogue: Catalogue, supervisor: Lender, keys: Keys, *, body_stall: float = STALL
    ) -> None:
        self._supervisor = supervisor
        self._body_stall = body_stall
        self._models = model_list.ModelList()
        self._incidents = Incidents()
        self.serve(catalogue, keys)

    def serve(self, catalogue: Catalogue, keys: Keys) -> None:
        """Answer requests by this catalogue and these keys from now on."""
        self.catalogue = catalogue
        self._keys = keys
        self._rewriter = RequestRewriter()
        # Engines never see sparkd's keys, nor a page's origin: some engines refuse those that they don't know.
        self._without = frozenset(
            {b"origin"} | ({b"authorization", b"x-api-key"} if keys.required else set())
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        request = Request(scope)
        try:
            await self._answer(request, presence_in(scope), receive, send)
        except ClientLeft:
            return
        except Exception as error:  # noqa: BLE001  # nothing of an answer has been sent: it can still be told
            told_error = told(error, f"{scope['method']} {scope['path']}", request)
            self._incidents.refused(request, told_error)
            headers = [(name.encode(), value.encode()) for name, value in error_headers(told_error).items()]
            body = error_body(told_error, request.dialect)
            await _reply(send, request, told_error.status, headers, body)

    async def _answer(self, request: Request, presence: Presence, receive: Receive, send: Send) -> None:
        path = read_path(request.raw_path)
        segments = path.segments
        if segments == ("healthz",):
            await _reply(send, request, 200, [(b"content-type", b"text/plain")], b"ok\n")
            return
        if request.method == b"OPTIONS" and segments[:1] == ("v1",):
            await _reply(send, request, 204, request.preflight(), b"")
            return
        self._keys.check(request.fields)
        if path.forbidden is not None:
            raise PathForbidden(f"/{'/'.join(segments)} is not reachable through sparkd.")
        if not reaches_engines(segments):
            raise PathNotFound(f"Nothing is served at /{'/'.join(segments)}. {SERVED}")
        if b"websocket" in request.fields.get(b"upgrade", b"").lower():
            raise NotSupported("WebSockets are not supported.")
        if segments[1:2] == ("models",):
            await _reply(send, request, 200, _JSON, self._listed(request, segments[2:]))
            return
        named = named_in_head(self.catalogue, segments, request.query)
        request.model = named.model.id if named.model is not None else None
        if named.model is not None and named.target == b"/v1/models":
            await _reply(send, request, 200, _JSON, model_list.only(named.model))
            return
        answer = Answer(send, request)  # first: it gives the request the id that the engine gets, too
        limits = Limits(self.catalogue.settings.server.max_body, self._body_stall)
        preparation = Preparation(
            request, named, self.catalogue, self._rewriter, receive, limits, self._without
        )
        outgoing = await preparation.finish()
        if outgoing.rewrites:
            answer.extra.append((b"x-sparkd-rewrites", ", ".join(outgoing.rewrites).encode()))
        await forward(self._supervisor, outgoing, answer, presence, self._incidents)

    def _listed(self, request: Request, name: tuple[str, ...]) -> bytes:
        if request.method not in (b"GET", b"HEAD"):
            raise MethodNotAllowed(f"/v1/models does not take {request.method.decode()}.")
        if not name:
            return self._models.all(self.catalogue)
        return model_list.card(self.catalogue.find("/".join(name)))


async def _reply(send: Send, request: Request, status: int, headers: Headers, body: bytes) -> None:
    """Send an answer of our own."""
    length = [] if status == 204 else [(b"content-length", b"%d" % len(body))]
    whole = [*headers, *length, *request.own_headers()]
    await send({"type": "http.response.start", "status": status, "headers": whole})
    await send({"type": "http.response.body", "body": body})

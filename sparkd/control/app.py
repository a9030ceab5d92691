"""Routes of the control API.

    GET  /status                                the whole daemon
    POST /reload                                reads the catalogue again, all of it or nothing
    POST /reexec                                tries the program installed now; it takes over soon
    GET  /models/{model}                        one model
    GET  /models/{model}/plan                   what would happen if somebody asked for it now
    POST   /models/{model}/pull                 answers once it is on disk
    DELETE /models/{model}/files                takes it off the disk
    GET  /files                                 what is on disk
    POST /models/{model}/load                   answers once it is ready
    POST /models/{model}/stop                   answers once it is stopped
    POST /models/{model}/retry                  lifts backoff and quarantine
    GET  /models/{model}/logs?lines=&follow=    text, one line each

Answers are JSON (`sparkd.scheduling.status`); errors have the gateway's OpenAI-shaped bodies. `{model}` is an
id or an alias.
"""

from __future__ import annotations

import asyncio

import msgspec
from msgspec import structs
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sparkd.catalog.definitions import Model
from sparkd.control.errors import EXCEPTION_HANDLERS
from sparkd.control.lacking import lacking
from sparkd.control.logs import LogEndpoint
from sparkd.control.presence import while_connected
from sparkd.control.supervision import Reloader, Replaceable, Supervision
from sparkd.hub.files import ModelFiles, RemovalResult
from sparkd.scheduling.plan import Plan
from sparkd.scheduling.status import ModelStatus, Reload, Status


def control_app(supervisor: Supervision, reloader: Reloader, replacement: Replaceable) -> Starlette:
    """The control API as an ASGI application."""
    control = _Control(supervisor, reloader, replacement)
    return Starlette(
        routes=[
            Route("/status", control.status),
            Route("/reload", control.reload, methods=["POST"]),
            Route("/reexec", control.reexec, methods=["POST"]),
            # `path`: an alias may have a slash in it, as names of Hugging Face repositories do.
            Route("/files", control.files),
            Route("/models/{model:path}/pull", control.pull, methods=["POST"]),
            Route("/models/{model:path}/files", control.remove, methods=["DELETE"]),
            Route("/models/{model:path}/load", control.load, methods=["POST"]),
            Route("/models/{model:path}/stop", control.stop, methods=["POST"]),
            Route("/models/{model:path}/retry", control.retry, methods=["POST"]),
            Route("/models/{model:path}/plan", control.plan, methods=["GET"]),
            Route("/models/{model:path}/logs", LogEndpoint(supervisor), methods=["GET"]),
            Route("/models/{model:path}", control.model),
        ],
        exception_handlers=EXCEPTION_HANDLERS,
    )


class _Control:
    """The endpoints."""

    def __init__(self, supervisor: Supervision, reloader: Reloader, replacement: Replaceable) -> None:
        self._supervisor = supervisor
        self._reloader = reloader
        self._replacement = replacement

    async def status(self, request: Request) -> Response:  # noqa: ARG002
        return _json(self._supervisor.status())

    async def reload(self, request: Request) -> Response:  # noqa: ARG002
        return _json(await self._reloader.reload())

    async def reexec(self, request: Request) -> Response:  # noqa: ARG002
        before = self._supervisor.status()
        await self._replacement.prepare()
        return _json(before)

    async def model(self, request: Request) -> Response:
        return self._state_of(self._wanted(request))

    async def plan(self, request: Request) -> Response:
        model = self._wanted(request)
        lacks = await asyncio.to_thread(lacking, model, self._supervisor.catalogue)
        return _json(structs.replace(self._supervisor.plan(model), lacks=lacks))

    async def files(self, request: Request) -> Response:  # noqa: ARG002
        return _json(await self._supervisor.downloads.files())

    async def pull(self, request: Request) -> Response:
        """Goes on when the client leaves."""
        model = self._wanted(request)
        await while_connected(request.receive, self._supervisor.downloads.pull(model))
        return self._state_of(model)

    async def remove(self, request: Request) -> Response:
        """Of a disabled model, too."""
        name = request.path_params["model"]
        model = self._supervisor.catalogue.models.get(name) or self._wanted(request)
        held = {one.id for one in self._supervisor.status().models if one.state not in ("stopped", "backoff")}
        return _json(RemovalResult(freed=await self._supervisor.downloads.remove(model, held)))

    async def load(self, request: Request) -> Response:
        model = self._wanted(request)
        await while_connected(request.receive, self._supervisor.load(model))
        return self._state_of(model)

    async def stop(self, request: Request) -> Response:
        """Goes on when the client leaves: an order to stop is not taken back by hanging up."""
        model = self._wanted(request)
        await self._supervisor.stop(model)
        return self._state_of(model)

    async def retry(self, request: Request) -> Response:
        model = self._wanted(request)
        self._supervisor.retry(model)
        return self._state_of(model)

    def _wanted(self, request: Request) -> Model:
        return self._supervisor.catalogue.find(request.path_params["model"])

    def _state_of(self, model: Model) -> Response:
        return _json(self._supervisor.status().model(model.id))


def _json(answer: Status | ModelStatus | Plan | Reload | RemovalResult | list[ModelFiles] | None) -> Response:
    return Response(msgspec.json.encode(answer), media_type="application/json")

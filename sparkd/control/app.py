"""Routes of the control API.

    GET  /status                                the whole daemon
    POST /reload                                reloads the catalogue, all of it or nothing
    POST /reexec                                tests the installed program, which then replaces this one
    GET  /catalogue, …                          the catalogue's files, edits of them, undo (catalogue.py)
    GET  /doctor                                what `sparkctl doctor` finds (doctor.py)
    GET  /models                                all models, a compact row each (model_rows.py)
    GET  /models/{model}                        one model
    GET  /models/{model}/options                what starts its engine, and where each part comes from (options.py)
    GET  /models/{model}/loads                  its past loads
    GET  /models/{model}/files                  its files on disk
    GET  /models/{model}/plan                   what a request for it would do now
    POST   /models/{model}/pull                 responds once it is on disk
    DELETE /models/{model}/files                deletes its files
    GET  /files                                 what is on disk
    POST /models/{model}/load                   responds once it is ready
    POST /models/{model}/stop                   responds once it is stopped
    POST /models/{model}/hold                   keeps it loaded for a time
    GET  /holds                                 all holds
    DELETE /holds/{id}                          ends one
    POST /models/{model}/retry                  ends backoff and quarantine
    GET  /models/{model}/logs?lines=&follow=    text, one line each
    GET  /models/{model}/runs[/{file}]          log files of earlier runs (log_files.py)
    GET  /requests/active                       requests in flight (active_requests.py)
    DELETE /requests/active/{id}                cancels one
    GET, POST, DELETE /captures[/{id}]          what clients have sent, for minutes (captures.py)
    GET  /clients[/{program}]                   configurations of client programs (clients.py)
    GET  /log?lines=&follow=&level=             the daemon's own lines (log_lines.py)

Responses are JSON (`sparkd.scheduling.status`); errors have OpenAI's shape, like the gateway's. `{model}` is an
id or an alias.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
from msgspec import structs
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from sparkd.catalog.definitions import Model
from sparkd.control.errors import EXCEPTION_HANDLERS
from sparkd.control.holds import hold_routes
from sparkd.control.interfaces import Reloader, Replacer, SupervisorInterface
from sparkd.control.logs import LogEndpoint
from sparkd.control.prerequisites import find_missing_prerequisites
from sparkd.gateway.connections.disconnect import run_while_connected
from sparkd.hub.files import ModelFiles, RemovalResult
from sparkd.scheduling.plan import Plan
from sparkd.scheduling.status import USED_MODELS, ModelStatus, Reload, Status


def create_control_app(
    supervisor: SupervisorInterface,
    reloader: Reloader,
    replacement: Replacer,
    routes: Sequence[BaseRoute] = (),
) -> Starlette:
    """The control API as an ASGI application. `routes` are further ones, which come first."""
    control = _Endpoints(supervisor, reloader, replacement)
    return Starlette(
        routes=[
            *routes,
            Route("/status", control.status),
            Route("/reload", control.reload, methods=["POST"]),
            Route("/reexec", control.reexec, methods=["POST"]),
            # `path`: an alias may contain a slash, like the names of Hugging Face repositories.
            Route("/files", control.files),
            Route("/models/{model:path}/pull", control.pull, methods=["POST"]),
            Route("/models/{model:path}/files", control.remove, methods=["DELETE"]),
            Route("/models/{model:path}/load", control.load, methods=["POST"]),
            Route("/models/{model:path}/stop", control.stop, methods=["POST"]),
            Route("/models/{model:path}/retry", control.retry, methods=["POST"]),
            *hold_routes(supervisor),
            Route("/models/{model:path}/plan", control.plan, methods=["GET"]),
            Route("/models/{model:path}/logs", LogEndpoint(supervisor), methods=["GET"]),
            Route("/models/{model:path}", control.model),
        ],
        exception_handlers=EXCEPTION_HANDLERS,
    )


class _Endpoints:
    """The endpoints."""

    def __init__(self, supervisor: SupervisorInterface, reloader: Reloader, replacement: Replacer) -> None:
        self._supervisor = supervisor
        self._reloader = reloader
        self._replacement = replacement

    async def status(self, request: Request) -> Response:  # noqa: ARG002
        status = self._supervisor.status()
        return await asyncio.to_thread(_json_response, status)  # thousands of models take milliseconds

    async def reload(self, request: Request) -> Response:  # noqa: ARG002
        return _json_response(await self._reloader.reload())

    async def reexec(self, request: Request) -> Response:  # noqa: ARG002
        before = self._supervisor.status(USED_MODELS)
        await self._replacement.prepare()
        return _json_response(before)

    async def model(self, request: Request) -> Response:
        return self._model_response(self._find_model(request))

    async def plan(self, request: Request) -> Response:
        model = self._find_model(request)
        missing = await asyncio.to_thread(find_missing_prerequisites, model, self._supervisor.catalogue)
        return _json_response(structs.replace(self._supervisor.plan(model), missing=missing))

    async def files(self, request: Request) -> Response:  # noqa: ARG002
        return _json_response(await self._supervisor.downloads.files())

    async def pull(self, request: Request) -> Response:
        """Continues if the client disconnects."""
        model = self._find_model(request)
        await run_while_connected(request.receive, self._supervisor.downloads.pull(model))
        return self._model_response(model)

    async def remove(self, request: Request) -> Response:
        """Also for a disabled model."""
        name = request.path_params["model"]
        model = self._supervisor.catalogue.models.get(name) or self._find_model(request)
        in_use = {
            status.id
            for status in self._supervisor.status(USED_MODELS).models
            if status.state not in ("stopped", "backoff")
        }
        return _json_response(RemovalResult(freed=await self._supervisor.downloads.remove(model, in_use)))

    async def load(self, request: Request) -> Response:
        model = self._find_model(request)
        await run_while_connected(request.receive, self._supervisor.load(model))
        return self._model_response(model)

    async def stop(self, request: Request) -> Response:
        """Continues if the client disconnects: that does not cancel a stop."""
        model = self._find_model(request)
        await self._supervisor.stop(model)
        return self._model_response(model)

    async def retry(self, request: Request) -> Response:
        model = self._find_model(request)
        self._supervisor.retry(model)
        return self._model_response(model)

    def _find_model(self, request: Request) -> Model:
        return self._supervisor.catalogue.find(request.path_params["model"])

    def _model_response(self, model: Model) -> Response:
        return _json_response(self._supervisor.status(model.id).model(model.id))


def _json_response(
    value: Status | ModelStatus | Plan | Reload | RemovalResult | list[ModelFiles] | None,
) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")

"""The log files of a model's runs, also of those before sparkd started.

GET /models/{model}/runs                the files, the newest first
GET /models/{model}/runs/{file}?lines=  the last lines of one as text
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from sparkd.catalog.definitions import Model
from sparkd.catalog.nearest import did_you_mean
from sparkd.control.interfaces import SupervisorInterface
from sparkd.control.logs import HEADERS, parse_log_query
from sparkd.errors import LogNotFound
from sparkd.gateway.connections.disconnect import run_while_connected
from sparkd.gateway.preparation.body import ClientDisconnected
from sparkd.processes.log_archive import LogFileInfo, describe_log, read_log

FindLogs = Callable[[str], list[Path]]
"""The log files of a model, by its id, oldest first."""


def log_file_routes(supervisor: SupervisorInterface, find_logs: FindLogs) -> list[BaseRoute]:
    """The routes of log files."""
    return [
        Route("/models/{model:path}/runs", LogFilesEndpoint(supervisor, find_logs).list_files),
        Route("/models/{model:path}/runs/{file}", LogFileEndpoint(supervisor, find_logs), methods=["GET"]),
    ]


class LogFilesEndpoint:
    """The list of a model's log files."""

    def __init__(self, supervisor: SupervisorInterface, find_logs: FindLogs) -> None:
        self._supervisor = supervisor
        self._find_logs = find_logs

    async def list_files(self, request: Request) -> Response:
        """The files, the newest first. Raises ModelNotFound."""
        model = self._supervisor.catalogue.find(request.path_params["model"])
        files = await asyncio.to_thread(self._describe, model, self._current(model))
        return Response(msgspec.json.encode(files), media_type="application/json")

    def _current(self, model: Model) -> Path | None:
        log = self._supervisor.log(model)
        return None if log is None else log.path

    def _describe(self, model: Model, current: Path | None) -> list[LogFileInfo]:
        described = (describe_log(path, current=path == current) for path in self._find_logs(model.id))
        return [each for each in reversed(list(described)) if each is not None]


class LogFileEndpoint:
    """The ASGI endpoint of one log file. It is read in a thread, piece by piece, as fast as the client reads."""

    def __init__(self, supervisor: SupervisorInterface, find_logs: FindLogs) -> None:
        self._supervisor = supervisor
        self._find_logs = find_logs

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the last lines. Raises ModelNotFound, LogNotFound and InvalidRequest before the first byte."""
        request = Request(scope)
        lines, _ = parse_log_query(request.query_params)
        model = self._supervisor.catalogue.find(request.path_params["model"])
        name = request.path_params["file"]
        try:
            path = await asyncio.to_thread(self._find, model, name)
            pieces = read_log(path, lines)
            first = await asyncio.to_thread(next, pieces, b"")
        except OSError as error:
            raise LogNotFound(f'The log file "{name}" cannot be read: {error.strerror}.') from error
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})

        async def send_all() -> None:
            piece = first
            while piece:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
                piece = await asyncio.to_thread(next, pieces, b"")

        try:
            await run_while_connected(receive, send_all())
        except ClientDisconnected:
            return
        await send({"type": "http.response.body", "body": b""})

    def _find(self, model: Model, name: str) -> Path:
        """The file of this name, among those of the model only. Raises LogNotFound."""
        paths = {path.name: path for path in self._find_logs(model.id)}
        if name not in paths:
            meant = did_you_mean(name, paths)
            raise LogNotFound(
                f'The model "{model.id}" has no log file "{name}"{meant}. '
                f"Run `sparkctl logs {model.id} --runs` for the list."
            )
        return paths[name]

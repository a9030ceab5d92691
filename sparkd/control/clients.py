"""Configurations of client programs.

    GET  /clients                               programs, keys, models that chat, and the address of the API
    GET  /clients/{program}?model=&key=&base=   its configuration; `key` is the name of a key, which is not put in
    POST /clients/{program}                     the same with the key itself, if the body says `"secret": true`

The key itself is in responses to POST only: the port of clients serves GET to keys that may see the page.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from sparkd.errors import InvalidRequest

if TYPE_CHECKING:
    from sparkd.control.client_configurations import ClientConfigurations
    from sparkd.control.client_source import ClientSource

MAX_BODY = 64 * 1024
"""Bytes of a body."""


class ClientRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a POST. Empty values are the defaults."""

    model: str = ""
    key: str = ""
    base: str = ""
    secret: bool = False


def client_routes(source: ClientSource) -> list[BaseRoute]:
    """The routes of configurations."""
    endpoints = _Clients(source)
    return [
        Route("/clients", endpoints.list_programs),
        Route("/clients/{program}", endpoints.configure, methods=["GET"]),
        Route("/clients/{program}", endpoints.configure_with_secret, methods=["POST"]),
    ]


class _Clients:
    """The endpoints. What they need is imported with the first request, in a thread: no start should wait for it."""

    def __init__(self, source: ClientSource) -> None:
        self._source = source

    async def list_programs(self, request: Request) -> Response:  # noqa: ARG002
        return _respond(await asyncio.to_thread(lambda: self._load().list_programs()))

    async def configure(self, request: Request) -> Response:
        query = request.query_params
        wanted = ClientRequest(query.get("model", ""), query.get("key", ""), query.get("base", ""))
        return await self._configure(request.path_params["program"], wanted)

    async def configure_with_secret(self, request: Request) -> Response:
        body = await request.body()
        if len(body) > MAX_BODY:
            raise InvalidRequest(f"The body is longer than {MAX_BODY} bytes.")
        try:
            wanted = msgspec.json.decode(body, type=ClientRequest)
        except msgspec.DecodeError as error:
            raise InvalidRequest(f"The body is not valid: {error}.") from None
        return await self._configure(request.path_params["program"], wanted)

    async def _configure(self, program: str, wanted: ClientRequest) -> Response:
        made = await asyncio.to_thread(
            lambda: self._load().make(
                program, wanted.model, wanted.key, wanted.base, put_key_in=wanted.secret
            )
        )
        return _respond(made)

    def _load(self) -> ClientConfigurations:
        from sparkd.control.client_configurations import ClientConfigurations  # noqa: PLC0415

        return ClientConfigurations(self._source)


def _respond(value: Any) -> Response:
    headers = {"cache-control": "no-store"}
    return Response(msgspec.json.encode(value), media_type="application/json", headers=headers)

"""The API of port 8009 on the control socket, for the chat of the owner's page: `/v1/…`.

A program that may open the socket may do everything, so it needs no API key. Its requests count as those of the key
`owner`, without its limits. `sparkd.page.owner` lets only the page's own requests through.
"""

from __future__ import annotations

import asyncio

from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from sparkd.catalog.reading.keys import INSTALLED_KEY
from sparkd.control.viewer import viewer_of
from sparkd.errors import AccessDenied
from sparkd.gateway import Gateway
from sparkd.gateway.admission.key_policies import OWNER_POLICY
from sparkd.gateway.request_head import request_head
from sparkd.gateway.responses.response_writer import EXTENSION, ResponseWriter


class OwnerGateway:
    """The ASGI endpoint. It knows its requests, because they end with the gateway's, not with the control socket's."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._writers: set[ResponseWriter] = set()
        self._idle = asyncio.Event()
        self._idle.set()

    def routes(self) -> list[BaseRoute]:
        """The routes on the control socket."""
        return [Route(path, self) for path in ("/v1", "/v1/{path:path}")]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Raises AccessDenied if it did not come through the control socket."""
        request = request_head(scope)
        if not viewer_of(scope).rights.control:
            raise AccessDenied("Send requests to models to /v1/… of this port, not below /ui/api.")
        if request.fields.get(b"sec-fetch-dest", b"empty") != b"empty":
            # What an engine sends would be a page of the same origin, without a Content-Security-Policy.
            raise AccessDenied("A browser cannot open this as a page: it is for programs and scripts.")
        request.key, request.policy = INSTALLED_KEY, OWNER_POLICY
        writer: ResponseWriter = scope["extensions"][EXTENSION]
        self._writers.add(writer)
        self._idle.clear()
        try:
            await self._gateway(scope, receive, send)
        finally:
            self._writers.discard(writer)
            if not self._writers:
                self._idle.set()

    async def drained(self) -> None:
        """Wait until every request has had its response."""
        await self._idle.wait()

    def close(self) -> None:
        """Close the connections of all requests at once."""
        for writer in tuple(self._writers):
            writer.client.transport.abort()

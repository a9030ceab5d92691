"""The API of port 8009 on the control socket, for the owner's page: `/v1/…`, also below `/ui`.

Whoever may open the socket may do everything, so no API key is needed, and the requests count as those of the key
`owner`. A browser reaches the socket through a forwarded port (`ssh -L`), and then any web page could send requests to
it. So the browser must say that the request comes from sparkd's own page.
"""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from sparkd.catalog.hosts import is_loopback_host, parse_authority
from sparkd.catalog.reading.keys import INSTALLED_KEY
from sparkd.errors import AccessDenied
from sparkd.gateway.admission.key_policies import OWNER_POLICY
from sparkd.gateway.app import Gateway
from sparkd.gateway.request_head import RequestHead, request_head
from sparkd.gateway.responses.response_writer import EXTENSION, ResponseWriter

PREFIX: Final = b"/ui"
"""Where the page is, and what it uses."""

CLIENT_HOST: Final = "sparkd"
"""The host in requests of sparkctl. No web page can have it: it is no name of the public DNS."""

_OWN_PAGES: Final = (b"same-origin", b"none")


class OwnerGateway:
    """The ASGI endpoint. It knows its requests, because they end with the gateway's, not with the control socket's."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._writers: set[ResponseWriter] = set()
        self._idle = asyncio.Event()
        self._idle.set()

    def routes(self) -> list[BaseRoute]:
        """The routes on the control socket."""
        return [Route(path, self) for path in ("/v1", "/v1/{path:path}", "/ui/v1", "/ui/v1/{path:path}")]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Raises AccessDenied for a page of another site."""
        request = request_head(scope)
        check_own_page(request)
        request.key, request.policy = INSTALLED_KEY, OWNER_POLICY
        if request.raw_path.startswith(PREFIX):
            request.raw_path = scope["raw_path"] = request.raw_path.removeprefix(PREFIX)
            scope["path"] = scope["path"].removeprefix(PREFIX.decode())
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


def check_own_page(request: RequestHead) -> None:
    """Raise AccessDenied if a browser has sent the request for a page that is not sparkd's own.

    The host is checked, too: a page of evil.example may have its name resolve to 127.0.0.1 (DNS rebinding).
    """
    fields = request.fields
    host = fields.get(b"host", b"").decode("latin-1")
    authority = parse_authority(host) if host else None
    if host and (authority is None or not (is_loopback_host(authority[0]) or authority[0] == CLIENT_HOST)):
        raise AccessDenied(
            f'The control socket serves only requests to localhost, and "{host}" is another name. '
            "Open the page by http://localhost and the port that you have forwarded."
        )
    origin = fields.get(b"origin")
    if origin is not None and origin.decode("latin-1") != f"http://{host}":
        raise AccessDenied("The control socket serves no web pages but sparkd's own.")
    if fields.get(b"sec-fetch-site", b"none") not in _OWN_PAGES:
        raise AccessDenied("The control socket serves no web pages but sparkd's own.")

"""The application of the control socket: the control API, the page, and the control API again for the page."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from sparkd.control.errors import render_error
from sparkd.errors import SparkdError
from sparkd.page.browsers import check_page, check_socket_host, collect_fields
from sparkd.page.files import FileStore
from sparkd.page.headers import API_POLICY, COMMON, add_headers
from sparkd.page.static_files import redirect_to, respond_with_file

ROOT: Final = "/ui/"
API: Final = "/ui/api/"


class OwnerPage:
    """Serves every program that can open the socket, and of a browser's requests only those of the page itself."""

    def __init__(self, control: ASGIApp, store: FileStore) -> None:
        self._control = add_headers(
            control, [*COMMON, (b"content-security-policy", API_POLICY), (b"cache-control", b"no-store")]
        )
        self._store = store
        self._serve_page = add_headers(self._respond, COMMON)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        path = scope["path"]
        try:
            fields = collect_fields(scope["headers"])
            check_socket_host(fields)
            check_page(fields, scope["method"], is_document=is_page_path(path))
        except SparkdError as error:
            await add_headers(render_error(error), COMMON)(scope, receive, send)
            return
        if is_page_path(path):
            await self._serve_page(scope, receive, send)
        else:
            await self._control(below_api(scope), receive, send)

    async def _respond(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        try:
            response: Response
            if scope["path"] in ("/", "/ui"):
                response = redirect_to("ui/")
            else:
                response = await respond_with_file(request, scope["path"].removeprefix(ROOT), self._store)
        except SparkdError as error:
            response = render_error(error)
        await response(scope, receive, send)


def is_page_path(path: str) -> bool:
    """Whether a file, or a redirect to one, is at this path."""
    return path in ("/", "/ui") or (path.startswith(ROOT) and not path.startswith(API))


def below_api(scope: Scope) -> Scope:
    """The scope for the control API: what is below `/ui/api/` is what is at its root."""
    if not scope["path"].startswith(API):
        return scope
    return {**scope, "path": scope["path"].removeprefix("/ui/api"), "root_path": ""}

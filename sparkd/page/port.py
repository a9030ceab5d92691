"""The page on the port of the clients: for reading only, with the key of someone who may."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Receive, Scope, Send

from sparkd.catalog import Catalogue
from sparkd.catalog.hosts import is_loopback_host, normalize_address
from sparkd.control.errors import render_error
from sparkd.control.viewer import VIEWER, Rights, Viewer
from sparkd.errors import AccessDenied, PathNotFound, SparkdError, ViewerRequired
from sparkd.gateway.admission.access import FORWARDING_HEADERS, Access
from sparkd.gateway.request_head import RequestHead, request_head
from sparkd.page.browsers import check_page
from sparkd.page.files import FileStore
from sparkd.page.headers import API_POLICY, COMMON, add_headers
from sparkd.page.owner import API, ROOT, below_api, is_page_path
from sparkd.page.static_files import redirect_to, respond_with_file

FORWARD: Final = "`ssh -L 8010:/run/sparkd/control.sock HOST`, then open http://localhost:8010/ui/"

OWNER_ONLY: Final = ("/captures",)
"""Paths of the control API that show what clients have sent: only the owner may see that."""


class PortAccess(Protocol):
    """What the page needs of the gateway, which a reload changes."""

    catalogue: Catalogue
    access: Access


class PortPage(BaseRoute):
    """One route for everything below `/ui`, whatever the method, and for `/` if a browser opens it."""

    def __init__(self, gateway: PortAccess, control: ASGIApp, store: FileStore) -> None:
        self._gateway = gateway
        self._control = add_headers(
            control, [(b"content-security-policy", API_POLICY), (b"cache-control", b"no-store")]
        )
        self._store = store
        self._serve = add_headers(self._respond, COMMON)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match the page's paths."""
        path = scope["path"]
        if path == "/ui" or path.startswith(ROOT):
            return Match.FULL, {}
        if (
            path == "/"
            and scope["method"] in ("GET", "HEAD")
            and self._gateway.catalogue.settings.server.page
        ):
            accepted = request_head(scope).fields.get(b"accept", b"")
            return (Match.FULL if b"text/html" in accepted else Match.NONE), {}
        return Match.NONE, {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        await self._serve(scope, receive, send)

    async def _respond(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            self._check(scope)
            if scope["path"].startswith(API):
                await self._control(below_api(scope), receive, send)
                return
            response = await self._respond_with_page(scope)
        except SparkdError as error:
            response = render_error(error)
        await response(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        """Raise SparkdError unless the client may have what it requests; otherwise leave its rights in the scope."""
        if not self._gateway.catalogue.settings.server.page:
            raise PathNotFound(
                f"The page is switched off here: `[server] page` is false. For the owner: {FORWARD}."
            )
        head, access, path = request_head(scope), self._gateway.access, scope["path"]
        access.check_names(head)
        check_page(head.fields, scope["method"], is_document=is_page_path(path))
        if is_page_path(path) or path == API.rstrip("/"):
            return
        access.check(head)
        _check_viewer(head, access)
        below = path.removeprefix("/ui/api")
        if scope["method"] not in ("GET", "HEAD"):
            raise AccessDenied(f"Here the page can only be read. To change something, run {FORWARD}.")
        if below.startswith(OWNER_ONLY):
            raise AccessDenied(f"Only the owner of sparkd may see what clients have sent. Run {FORWARD}.")
        state: Mapping[str, object] = scope["state"]
        rights = Rights(operate=access.may_operate(head), control=False)
        viewer = Viewer(rights, is_current=lambda: self._gateway.access is access)
        scope["state"] = {**state, VIEWER: viewer}

    async def _respond_with_page(self, scope: Scope) -> Response:
        # The gateway has left out the slash at the end of the path, which a relative address depends on.
        path = scope["path"]
        if path == "/":
            return redirect_to("ui/")
        if path == "/ui" and not request_head(scope).raw_path.partition(b"?")[0].endswith(b"/"):
            return redirect_to("ui/")
        return await respond_with_file(Request(scope), path.removeprefix("/ui").lstrip("/"), self._store)


def _check_viewer(head: RequestHead, access: Access) -> None:
    """Raise ViewerRequired or AccessDenied unless the client may see what all clients of the machine do."""
    if access.needs_key:
        role = head.policy.rules.role if head.policy is not None else "ask"
        if role == "ask":
            raise ViewerRequired(
                f'The API key "{head.key}" has the role "ask", and the page needs the role "view" or "operate". Use '
                'another key, or have the owner of sparkd set `role = "view"` in `[keys.<name>]`.'
            )
    elif not is_loopback_host(normalize_address(head.remote)) or FORWARDING_HEADERS & head.fields.keys():
        raise AccessDenied(
            "This sparkd has no API keys, so it shows the page only to programs on its own machine. "
            f"Set `server.api_key_file`, or run {FORWARD}."
        )

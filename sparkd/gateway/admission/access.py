"""Which requests are served: those with a key; without keys, those to this machine's names from its own pages.

Without keys, any web page in a browser on this machine or its network could use the models: pages can send requests to
any address, and by DNS rebinding a page of evil.example can become one of sparkd's own origin. The browser says what
asks, in headers that a page cannot change: `Host` has the name by which the page addressed sparkd, `Origin` and
`Sec-Fetch-Site` have where the page comes from. Other programs send no `Origin`, and are not limited by it.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from sparkd.catalog.hosts import (
    NO_ORIGIN,
    HostList,
    OriginList,
    is_loopback_host,
    normalize_address,
    parse_authority,
    parse_origin,
)
from sparkd.catalog.reading.keys import KEY_HEADERS, Keys
from sparkd.catalog.settings import Server
from sparkd.errors import AccessDenied, InvalidRequest, OperatorRequired
from sparkd.gateway.admission.key_policies import OWNER_POLICY, KeyPolicy
from sparkd.gateway.request_head import RequestHead

DESKTOP_SCHEMES: Final = frozenset(
    {"app", "capacitor", "capacitor-electron", "file", "ionic", "tauri", "vscode-file", "vscode-webview"}
)
"""Schemes of programs that show pages of their own: Electron, Tauri, Capacitor, VS Code. No web site can have them.

A browser's extension is not among them: it has only the permissions that its user has granted.
Neither is "null", the origin of a file in a browser: any web site can make a frame that has it.
"""

MAX_CACHED: Final = 300
"""Bytes of a header that is checked and remembered; a longer one is never allowed."""

FORWARDING_HEADERS: Final = frozenset(
    {b"forwarded", b"via", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-real-ip"}
)
"""Headers that proxies add: the request comes from elsewhere, although the connection is local."""

_SIMPLE_TYPES: Final = (b"", b"text/plain", b"application/x-www-form-urlencoded")
"""Content types that a page may send without a preflight, besides forms with files."""

_FIX: Final = "or set `server.api_key_file`; then run `sparkctl reload`."


class Access:
    """Decides which requests are served. `policies` has what keys may do, `machine` is this machine's name."""

    def __init__(
        self,
        server: Server,
        keys: Keys,
        machine: str | None = None,
        policies: Mapping[str, KeyPolicy] = MappingProxyType({}),
    ) -> None:
        self._keys, self._needs_key = keys, keys.required
        self._policies = policies
        self._hosts = HostList(server.hosts)
        self._origins = OriginList(server.origins)
        # Only the first label: a domain is public, and its owner could have it resolve to this machine.
        name = (socket.gethostname() if machine is None else machine).partition(".")[0].lower()
        self._own_names = frozenset({name, f"{name}.local"}) if name else frozenset[str]()
        self._check_host = lru_cache(maxsize=256)(self._parse_and_check_host)
        self._is_allowed_page = lru_cache(maxsize=256)(self._parse_and_check_page)

    @property
    def needs_key(self) -> bool:
        """Whether clients need an API key."""
        return self._needs_key

    @property
    def key_names(self) -> frozenset[str]:
        """The names of the API keys."""
        return self._keys.names

    @property
    def private_headers(self) -> frozenset[bytes]:
        """Headers that engines never see: sparkd's keys, and a page's origin, because some reject unknown origins."""
        return frozenset({b"origin"} | ({b"authorization", *KEY_HEADERS} if self._needs_key else set()))

    def identify_page(self, request: RequestHead) -> None:
        """Set `page_allowed`, for the headers of the response."""
        if (origin := request.fields.get(b"origin")) is not None:
            request.page_allowed = len(origin) <= MAX_CACHED and self._is_allowed_page(origin, request.local)

    def check(self, request: RequestHead) -> None:
        """Check what has sent a request. Raises InvalidRequest, Unauthorized and AccessDenied."""
        if request.policy is OWNER_POLICY:
            return  # it came through the control socket, see sparkd.control.owner_gateway
        self.check_names(request)
        if self._needs_key:
            request.key = key = self._keys.check(request.fields)
            request.policy = self._policies.get(key or "")
        elif request.page_allowed and request.method == b"POST" and request.has_body:
            kind = request.content_type.partition(b";")[0].strip()
            if kind in _SIMPLE_TYPES:
                raise AccessDenied(
                    "This sparkd has no API keys, so web pages must send a content type that is not "
                    f'"{kind.decode("latin-1") or "missing"}". Send `Content-Type: application/json`.'
                )

    def may_operate(self, request: RequestHead) -> bool:
        """Whether a request that was checked may load, unload and hold models.

        Without API keys, every client may: a request for another model unloads this one anyway.
        """
        return not self._needs_key or (request.policy is not None and request.policy.rules.role == "operate")

    def require_operator(self, request: RequestHead) -> None:
        """Raise OperatorRequired unless a request that was checked may load, unload and hold models."""
        if not self.may_operate(request):
            raise OperatorRequired(
                f'The API key "{request.key}" has the role "ask", and this needs the role "operate". Use another key, '
                'or have the owner of sparkd set `role = "operate"` in `[keys.<name>]`.'
            )

    def is_from_this_machine(self, request: RequestHead) -> bool:
        """Whether a program on this machine has sent it: not a page of another site, and not through a proxy."""
        fields = request.fields
        if not is_loopback_host(normalize_address(request.remote)) or FORWARDING_HEADERS & fields.keys():
            return False
        if b"origin" in fields or fields.get(b"sec-fetch-site", b"none") not in (b"none", b"same-origin"):
            return False
        host = fields.get(b"host", b"")
        if len(fields) != len(request.headers):
            _check_single_host(request)
        return not host or (len(host) <= MAX_CACHED and self._check_host(host, request.local) is None)

    def check_names(self, request: RequestHead) -> None:
        """Without keys, check the names of this machine and of the page. Raises InvalidRequest and AccessDenied."""
        fields = request.fields
        if len(fields) != len(request.headers):
            _check_single_host(request)
        if self._needs_key:
            return
        host = fields.get(b"host")
        if host:
            if len(host) > MAX_CACHED:
                raise InvalidRequest("The header Host is too long to be the name of a host.")
            if (problem := self._check_host(host, request.local)) is not None:
                raise problem.with_traceback(None)  # it is one object for many requests
        if b"origin" in fields:
            if not request.page_allowed:
                raise AccessDenied(_describe_page(fields[b"origin"]))
        elif fields.get(b"sec-fetch-site") == b"cross-site" and not self._origins.allows_all:
            raise AccessDenied(
                "This sparkd has no API keys, so it does not serve web pages of other sites. "
                f"Add the page's origin to `server.origins` and have it send `Origin`, {_FIX}"
            )

    def _parse_and_check_host(
        self, host: bytes, local: tuple[str, int] | None
    ) -> AccessDenied | InvalidRequest | None:
        """The error for this `Host`, None if it is allowed. `local` is the address of the connection."""
        text = host.decode("latin-1")
        authority = parse_authority(text)
        if authority is None:
            return InvalidRequest(
                f'The header Host, "{text}", is not valid. Send the host and port of the URL.'
            )
        if self._is_own(authority[0], local):
            return None
        return AccessDenied(
            "This sparkd has no API keys, so it serves only requests that are addressed to this machine by a name that "
            f'it knows, and "{authority[0]}" is not one. Use localhost, add the name to `server.hosts`, {_FIX}'
        )

    def _parse_and_check_page(self, origin: bytes, local: tuple[str, int] | None) -> bool:
        """Whether pages of this `Origin` may use sparkd."""
        text = origin.decode("latin-1")
        parsed = parse_origin(text)
        if self._origins.matches(text, parsed):
            return True
        if parsed is None:
            return False
        if parsed.scheme in ("http", "https"):
            return self._is_own(parsed.host, local)
        return parsed.scheme in DESKTOP_SCHEMES

    def _is_own(self, host: str, local: tuple[str, int] | None) -> bool:
        """Whether it is a name or an address of this machine.

        Only a name can be rebound. The address of the connection is where the browser took the page from, too.
        """
        if is_loopback_host(host) or host in self._own_names or host in self._hosts:
            return True
        return local is not None and host == normalize_address(local[0])


def _check_single_host(request: RequestHead) -> None:
    """Raise InvalidRequest for several headers Host or Origin: programs may each believe another one of them."""
    names = [name for name, _ in request.headers]
    for name in (b"host", b"origin"):
        if names.count(name) > 1:
            raise InvalidRequest(f"The request has several headers {name.decode().capitalize()}. Send one.")


def _describe_page(origin: bytes) -> str:
    text = origin[:MAX_CACHED].decode("latin-1")
    if text != NO_ORIGIN and parse_origin(text) is None:
        return (
            f'The header Origin, "{text}", is not valid: it has the scheme, host and port of one web page, such as '
            "http://localhost:3000. Without API keys, sparkd serves only pages that it can identify."
        )
    if text == NO_ORIGIN:
        return (
            "This sparkd has no API keys, so it does not serve web pages without an origin (null), such as files. Open "
            f'the page by http://localhost, add "null" to `server.origins`, {_FIX}'
        )
    return (
        f"This sparkd has no API keys, so it serves only web pages of this machine, and not of {text}. To allow them, "
        f'add "{text}" to `server.origins`, {_FIX}'
    )

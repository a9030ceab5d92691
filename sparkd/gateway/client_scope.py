"""What a request's head says, as ASGI's scope."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import unquote

import httptools

from sparkd.upstream.headers import Headers

_ASGI = {"version": "3.0", "spec_version": "2.3"}


def ends_of(transport: asyncio.BaseTransport) -> dict[str, Any]:
    """The part of a scope that all requests of a connection share."""
    return {
        "type": "http",
        "asgi": _ASGI,
        "scheme": "http",
        "root_path": "",
        "server": _address(transport.get_extra_info("sockname")),
        "client": _address(transport.get_extra_info("peername")),
    }


def scope_of(parser: httptools.HttpRequestParser, url: bytes, headers: Headers) -> dict[str, Any]:
    """The part that is a request's own. Raises HttpParserError on a target that is no URL."""
    if not url.startswith(b"/"):  # a proxy's absolute form, or `*`
        parsed = httptools.parse_url(url)
        url = (parsed.path or b"") + (b"?" + parsed.query if parsed.query else b"")
    raw_path, _, query = url.partition(b"#")[0].partition(b"?")
    path = raw_path.decode("ascii")
    return {
        "http_version": parser.get_http_version(),
        "method": parser.get_method().decode("ascii"),
        "path": unquote(path) if "%" in path else path,
        "raw_path": raw_path,
        "query_string": query,
        "headers": headers,
    }


def _address(name: object) -> tuple[str, int] | None:
    """Host and port; None for a Unix socket."""
    return (name[0], name[1]) if isinstance(name, tuple) else None

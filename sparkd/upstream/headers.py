"""Request and response headers between sparkd and an engine, without hop-by-hop ones (RFC 9110 7.6.1, RFC 9112).

Headers are lists of raw pairs with lower-case names. Order and duplicates are kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Set

from sparkd.errors import UpstreamError

Headers = list[tuple[bytes, bytes]]

HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"http2-settings",
    }
)
"""Headers that are never passed on. Trailers are dropped too: few clients read them, and `TE` is not passed on."""

_REWRITTEN = HOP_BY_HOP | {b"host", b"expect", b"content-length", b"accept-encoding"}
"""Request headers that are not passed on. `host` and `content-length` are written again, because the length may have
changed; `expect` has already been answered. Without `accept-encoding`, an engine does not compress its response: sparkd
reads errors and the model's name in it, and on one machine compression only costs time."""


def named_by_connection(values: Iterable[bytes]) -> set[bytes]:
    """Return the header names that `Connection` headers list. These headers are hop-by-hop too."""
    return {token.strip().lower() for value in values for token in value.split(b",")}


def request_head(
    method: bytes, target: bytes, headers: Headers, length: int | None, without: Set[bytes] = frozenset()
) -> bytes:
    """Encode a request line and headers. `length` is the body's in bytes: 0 without a body, None if it is chunked.

    `headers` are the client's, names in lower case; `without` names headers to leave out.
    """
    connection = [value for name, value in headers if name == b"connection"]
    named = named_by_connection(connection) if connection else ()
    lines = [method, b" ", target, b" HTTP/1.1\r\nhost: localhost\r\n"]
    for name, value in headers:
        if name not in _REWRITTEN and name not in without and name not in named:
            lines += (name, b": ", value, b"\r\n")
    if length is None:
        lines.append(b"transfer-encoding: chunked\r\n\r\n")
    elif length or method not in (b"GET", b"HEAD", b"OPTIONS", b"DELETE"):
        lines.append(b"content-length: %d\r\n\r\n" % length)
    else:
        lines.append(b"\r\n")
    return b"".join(lines)


def end_to_end(headers: Headers) -> tuple[Headers, bool]:
    """Return a response's headers to pass on, and whether they state where its body ends. Raises UpstreamError."""
    kept: Headers = []
    connection: list[bytes] = []
    framed = False
    for name, value in headers:
        if name not in HOP_BY_HOP:
            framed = framed or name == b"content-length"
            kept.append((name, value))
        elif name == b"connection":
            connection.append(value)
        elif name == b"transfer-encoding":
            if value.strip().lower() != b"chunked":
                raise UpstreamError(
                    f"the engine used the unsupported transfer coding {value.decode('latin-1')}"
                )
            framed = True
    if connection:
        named = named_by_connection(connection) - {b"content-length", b"close", b"keep-alive"}
        if named:
            kept = [header for header in kept if header[0] not in named]
    return kept, framed

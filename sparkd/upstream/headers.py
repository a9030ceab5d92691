"""Headers that belong to one connection, and heads that pass between sparkd and an engine (RFC 9110 7.6.1, RFC 9112).

Raw lists of pairs, lower-case names, order and duplicates kept.
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
"""Never passed on. Trailers are dropped too: hardly any client reads them, and `TE` is not passed on."""

_OURS = HOP_BY_HOP | {b"host", b"expect", b"content-length"}
"""Of a request also those that are written anew: `expect` has been answered, the length may have changed."""


def named_by_connection(values: Iterable[bytes]) -> set[bytes]:
    """Header names listed in `Connection` headers: they go no further either."""
    return {token.strip().lower() for value in values for token in value.split(b",")}


def request_head(
    method: bytes, target: bytes, headers: Headers, length: int | None, without: Set[bytes] = frozenset()
) -> bytes:
    """Encode a request's head. `length` is the body's in bytes, 0 for none, None for a chunked body.

    `headers` are the client's, names in lower case; `without` names more of them to leave out.
    """
    connection = [value for name, value in headers if name == b"connection"]
    named = named_by_connection(connection) if connection else ()
    lines = [method, b" ", target, b" HTTP/1.1\r\nhost: localhost\r\n"]
    for name, value in headers:
        if name not in _OURS and name not in without and name not in named:
            lines += (name, b": ", value, b"\r\n")
    if length is None:
        lines.append(b"transfer-encoding: chunked\r\n\r\n")
    elif length or method not in (b"GET", b"HEAD", b"OPTIONS", b"DELETE"):
        lines.append(b"content-length: %d\r\n\r\n" % length)
    else:
        lines.append(b"\r\n")
    return b"".join(lines)


def end_to_end(headers: Headers) -> tuple[Headers, bool]:
    """Of an answer's headers those to pass on, and whether they say where its body ends. Raises UpstreamError."""
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
                raise UpstreamError(f"the engine answered in transfer coding {value.decode('latin-1')}")
            framed = True
    if connection:
        named = named_by_connection(connection) - {b"content-length", b"close", b"keep-alive"}
        if named:
            kept = [header for header in kept if header[0] not in named]
    return kept, framed

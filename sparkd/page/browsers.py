"""Which requests of browsers are served: those of the page itself.

The control socket needs no key: its permissions decide. `ssh -L 8010:/run/sparkd/control.sock HOST` gives it a TCP port
on the owner's computer, and every page in a browser there can send requests to that port. What the browser says about
a request, and pages cannot change, distinguishes them: `Host`, `Origin` and `Sec-Fetch-*`. Of these, programs send only
`Host`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sparkd.catalog.hosts import is_loopback_host, parse_authority, parse_origin
from sparkd.errors import AccessDenied, InvalidRequest
from sparkd.upstream.headers import Headers

SOCKET_HOST: Final = "sparkd"
"""The name by which programs address the control socket: `http://sparkd/status`."""

ACTION_HEADER: Final = b"x-sparkd-request"
"""A header that a page can only send to its own origin, or after a preflight, which is never answered."""

_SAFE_METHODS: Final = ("GET", "HEAD")


def collect_fields(headers: Headers) -> dict[bytes, bytes]:
    """The headers by name. Raises InvalidRequest for several headers Host or Origin."""
    names = [name for name, _ in headers]
    for name in (b"host", b"origin"):
        if names.count(name) > 1:
            raise InvalidRequest(f"The request has several headers {name.decode().capitalize()}. Send one.")
    return dict(headers)


def check_socket_host(fields: Mapping[bytes, bytes]) -> None:
    """Raise AccessDenied or InvalidRequest unless `Host`, if there is one, means this machine.

    By DNS rebinding, a page of evil.example could otherwise be of the same origin as the forwarded port.
    """
    given = fields.get(b"host")
    if not given:
        return
    text = given[:300].decode("latin-1")
    authority = parse_authority(text)
    if authority is None:
        raise InvalidRequest(f'The header Host, "{text}", is not valid. Send the host and port of the URL.')
    # With a port, it is a forwarded one that a browser has opened, by a name that another machine could have, too.
    is_program = text.lower() == SOCKET_HOST
    if not is_program and not is_loopback_host(authority[0]):
        raise AccessDenied(
            f'The control socket serves requests to localhost and to http://{SOCKET_HOST}, not to "{authority[0]}". '
            "Open the forwarded port as http://localhost:PORT/ui/."
        )


def check_page(fields: Mapping[bytes, bytes], method: str, *, is_document: bool = False) -> None:
    """Raise AccessDenied for a request of another page, and for an action that does not say that it is one.

    `is_document`: the path has a static file. A link to it from anywhere may be followed.
    """
    site = fields.get(b"sec-fetch-site")
    if site not in (None, b"same-origin", b"none") and not (is_document and _is_navigation(fields, method)):
        raise AccessDenied("This is only for sparkd's own page, and the request is of another page.")
    origin = fields.get(b"origin")
    if origin is not None and not _is_same_origin(origin, fields.get(b"host", b"")):
        text = origin[:300].decode("latin-1")
        raise AccessDenied(f"This is only for sparkd's own page, and the request is of a page of {text}.")
    if (site or origin) and method not in _SAFE_METHODS and fields.get(ACTION_HEADER) != b"1":
        raise AccessDenied(f"A page's request that changes something needs `{ACTION_HEADER.decode()}: 1`.")


def _is_navigation(fields: Mapping[bytes, bytes], method: str) -> bool:
    """Whether the user follows a link or opens an address in a tab, not in a frame."""
    is_top = fields.get(b"sec-fetch-dest") == b"document"
    return method in _SAFE_METHODS and is_top and fields.get(b"sec-fetch-mode") == b"navigate"


def _is_same_origin(origin: bytes, host: bytes) -> bool:
    """Whether the origin is that of the page which this `Host` serves. A proxy in front may add TLS."""
    parsed = parse_origin(origin.decode("latin-1"))
    if parsed is None or parsed.scheme not in ("http", "https"):
        return False
    return parse_origin(f"{parsed.scheme}://{host.decode('latin-1')}") == parsed

"""Names of hosts and origins of web pages: `server.hosts`, `server.origins`, and the headers `Host` and `Origin`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv6Address, ip_address
from typing import Final

from msgspec import Struct

ANY: Final = "*"
NO_ORIGIN: Final = "null"
"""The origin of a page that has none: a file, or a frame in a sandbox. Any web site can make such a frame."""

_DEFAULT_PORTS: Final = {"http": "80", "https": "443"}

_authority = re.compile(
    r"(?:\[(?P<six>[0-9a-f:.]+)(?:%[0-9a-z_.~%-]+)?\]|(?P<name>[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?)\.?)"
    r"(?::(?P<port>[0-9]{0,5}))?",
    re.IGNORECASE | re.ASCII,
)
_origin = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<authority>[^/?#\s]*)", re.IGNORECASE | re.ASCII)
_port_of_pattern = re.compile(r"(?P<host>.*?)(?::(?P<port>[0-9]{1,5}|\*))?")


class WebOrigin(Struct, frozen=True):
    """An origin, normalized: lower case, no default port. `host` is empty for schemes without hosts (`file://`)."""

    scheme: str
    host: str
    port: str


def parse_authority(text: str) -> tuple[str, str] | None:
    """Host and port of `host:port`; the port is empty if there is none. None if it is not valid.

    The host is in lower case, without the dot at its end; an address is without brackets and zone. User information is
    not valid.
    """
    found = _authority.fullmatch(text)
    if found is None:
        return None
    if found["six"] and not is_address(found["six"]):
        return None
    host = found["six"] or found["name"].lower()
    return normalize_address(host), found["port"] or ""


def normalize_address(text: str) -> str:
    """An address in its usual form, without zone, and an IPv4 address mapped to IPv6 as IPv4. Other text as it is."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return text
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return str(address)


def is_address(host: str) -> bool:
    """Whether it is an address, not a name."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def parse_origin(text: str) -> WebOrigin | None:
    """The parts of an `Origin` header. None for "null", and if it is not valid."""
    found = _origin.fullmatch(text)
    if found is None:
        return None
    scheme = found["scheme"].lower()
    if not found["authority"]:
        return WebOrigin(scheme, "", "")
    authority = parse_authority(found["authority"])
    if authority is None:
        return None
    host, port = authority
    return WebOrigin(scheme, host, "" if port == _DEFAULT_PORTS.get(scheme) else port)


def is_loopback_host(host: str) -> bool:
    """Whether a name or an address always means this machine.

    Browsers resolve `*.localhost` themselves. 0.0.0.0 and :: are addresses of this machine for a client on it.
    """
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


class HostList:
    """The entries of `server.hosts`: names, `*.` and a name, addresses, or `*`; a port in them is ignored.

    Raises ValueError for others.
    """

    def __init__(self, entries: Iterable[str]) -> None:
        patterns = [_parse_host_pattern(entry) for entry in entries]
        self._any = ANY in patterns
        self._names = frozenset(patterns)
        self._suffixes = tuple(pattern[1:] for pattern in patterns if pattern.startswith("*."))

    def __contains__(self, host: str) -> bool:
        return self._any or host in self._names or host.endswith(self._suffixes)


class OriginList:
    """The entries of `server.origins`: `scheme://host:port`, `null` or `*`. Raises ValueError for others.

    The host may be `*`, or `*.` and a name; the port may be `*`, which includes none. `allows_all`: `*` is an entry.
    """

    def __init__(self, entries: Iterable[str]) -> None:
        self.allows_all = self._null = False
        self._patterns: list[tuple[str, HostList | None, str]] = []
        for entry in entries:
            if entry == ANY:
                self.allows_all = True
            elif entry == NO_ORIGIN:
                self._null = True
            else:
                self._patterns.append(_parse_origin_pattern(entry))

    def matches(self, text: str, origin: WebOrigin | None) -> bool:
        """Whether an `Origin` header, and what `parse_origin` has made of it, is listed."""
        if self.allows_all:
            return True
        if origin is None:
            return self._null and text == NO_ORIGIN
        return any(
            scheme == origin.scheme
            and (origin.host in hosts if hosts is not None else not origin.host)
            and port in (ANY, origin.port)
            for scheme, hosts, port in self._patterns
        )


def _parse_host_pattern(entry: str) -> str:
    prefix, name = ("*.", entry[2:]) if entry.startswith("*.") else ("", entry)
    if entry == ANY:
        return ANY
    authority = parse_authority(f"[{name}]" if is_address(name) and ":" in name else _encode_name(name))
    if authority is None or (prefix and is_address(authority[0])):
        message = f"{entry!r} is neither a name nor an address"
        raise ValueError(message)
    return prefix + authority[0]


def _parse_origin_pattern(entry: str) -> tuple[str, HostList | None, str]:
    found = _origin.fullmatch(entry)
    parts = _port_of_pattern.fullmatch(found["authority"]) if found else None
    scheme, host, port = (
        (found["scheme"].lower(), parts["host"], parts["port"] or "") if found and parts else ("", "", "")
    )
    if (
        not scheme
        or (not host and (port or scheme in _DEFAULT_PORTS))
        or (port not in ("", ANY) and int(port) > 65535)
    ):
        message = f"{entry!r} is not an origin"
        raise ValueError(message)
    return scheme, HostList([host]) if host else None, "" if port == _DEFAULT_PORTS.get(scheme) else port


def _encode_name(name: str) -> str:
    """A name with letters beyond ASCII as browsers send it (`xn--…`). Raises ValueError."""
    return name if name.isascii() else name.encode("idna").decode()

"""The address at which a client program reaches sparkd."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from sparkd.catalog.addresses import WILDCARDS
from sparkd.errors import InvalidRequest

_control_character: Final = re.compile(r"[\x00-\x20\x7f]")


def make_origin(host: str, port: int) -> str:
    """The address of sparkd for programs on this machine, which listens on `host` and `port`."""
    if host in WILDCARDS:  # a client needs a specific address
        host = "localhost"
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def parse_origin(text: str, name: str) -> str:
    """The address without `/v1`. Raises InvalidRequest, which calls it `name`."""
    try:
        parts = urlsplit(text)
        is_valid = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        is_valid = False
    if not is_valid or _control_character.search(text):
        raise InvalidRequest(
            f"{name} {text!r} is not an address such as http://spark.local:8009", param=name.lstrip("-")
        )
    return text.rstrip("/").removesuffix("/v1").rstrip("/")

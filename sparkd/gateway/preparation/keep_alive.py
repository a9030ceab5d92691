"""How long a model stays loaded after a request: `keep_alive` as in Ollama, `ttl` as in LM Studio, in any JSON body."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from sparkd.catalog.durations import keep_alive_seconds

KEEP_ALIVE_FIELDS: Final = frozenset({"keep_alive", "ttl"})
"""Engines know neither of these fields."""


def read_keep_alive(fields: Mapping[str, msgspec.Raw]) -> float | None:
    """The seconds that a model is to stay loaded while it is idle, see `keep_alive_seconds`. Raises InvalidRequest.

    `keep_alive` takes precedence.
    """
    for name in ("keep_alive", "ttl"):
        if name in fields:
            seconds = keep_alive_seconds(msgspec.json.decode(fields[name]), name)
            if seconds is not None:
                return seconds
    return None

"""How long a model stays loaded after a request: `keep_alive` as in Ollama, `ttl` as in LM Studio, in any JSON body."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from sparkd.catalog.durations import keep_alive_seconds
from sparkd.rewriting import JsonBody

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


def take_keep_alive(
    body: JsonBody, may_decide: Callable[[], bool]
) -> tuple[JsonBody, float | None, tuple[str, ...]]:
    """The body without these fields, the seconds, and what the response's header says if the client may not decide it.

    Raises InvalidRequest.
    """
    if KEEP_ALIVE_FIELDS.isdisjoint(body.fields):
        return body, None, ()
    seconds, rest = read_keep_alive(body.fields), body.without(KEEP_ALIVE_FIELDS)
    if seconds is None or may_decide():
        return rest, seconds, ()
    return rest, None, ("ignored-keep-alive",)

"""Fields that say how long the model stays loaded. sparkd reads them, and engines do not get them."""

from __future__ import annotations

from typing import Final

from sparkd.catalog.durations import keep_alive_seconds
from sparkd.rewriting.body import JsonBody
from sparkd.rewriting.decoding import decode_value
from sparkd.rewriting.rewrite_context import ALL_APIS, RewriteContext
from sparkd.rewriting.rule import Rule

FIELDS: Final = frozenset({"keep_alive", "ttl"})
"""Ollama's field and LM Studio's."""


def read_keep_alive(body: JsonBody) -> tuple[float, str] | None:
    """The seconds that a body sets, and the field that has them; None if it sets none. Raises InvalidRequest."""
    if FIELDS.isdisjoint(body.fields):
        return None
    for field in ("keep_alive", "ttl"):
        raw = body.fields.get(field)
        seconds = None if raw is None else keep_alive_seconds(decode_value(raw), field)
        if seconds is not None:
            return seconds, field
    return None


def remove_keep_alive(context: RewriteContext, body: JsonBody) -> JsonBody:  # noqa: ARG001
    """Remove the fields."""
    return body.without(FIELDS)


KEEP_ALIVE_RULE: Final = Rule("keep-alive", "always", lambda _: True, ALL_APIS, remove_keep_alive, FIELDS)

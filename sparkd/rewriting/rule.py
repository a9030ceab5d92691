"""The type of a rule."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from sparkd.catalog.definitions import Model
from sparkd.rewriting.body import JsonBody
from sparkd.rewriting.rewrite_context import Api, RewriteContext


class Rule(Struct, frozen=True):
    """One rule. `key` names its switch in the catalogue, `is_enabled` reads it; it applies to `apis`."""

    name: str
    key: str
    is_enabled: Callable[[Model], object]
    apis: frozenset[Api]
    apply: Callable[[RewriteContext, JsonBody], JsonBody]

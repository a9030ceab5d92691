"""One rule of the table in sparkd.rewriting.rules."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from sparkd.rewriting.body import JsonBody
from sparkd.rewriting.rewrite_context import Api, RewriteContext


class Rule(Struct, frozen=True):
    """One rule. `key` names its switch in the catalogue, `is_enabled` reads it; it applies to `apis`.

    `fields` and `turns` say what it looks at: it changes nothing in a body with none of these fields, whose
    conversation has none of these traits (sparkd.rewriting.history.traits). A rule without both looks at every body.
    """

    name: str
    key: str
    is_enabled: Callable[[RewriteContext], object]
    apis: frozenset[Api]
    apply: Callable[[RewriteContext, JsonBody], JsonBody]
    fields: frozenset[str] = frozenset()
    turns: frozenset[str] = frozenset()

"""Models and bodies for the tests of rewriting."""

import json
from collections.abc import Mapping
from typing import Any

from sparkd.catalog.definitions import Model
from sparkd.catalog.rewriting import Rewriting
from sparkd.rewriting import JsonBody, RewriteContext, RewriteResult, rewrite


def model(id_: str = "m", *, context_length: int | None = None, vision: bool = False, **rules: Any) -> Model:
    """A model whose requests are mended so."""
    return Model(
        id=id_,
        context_length=context_length,
        vision=vision,
        rewriting=Rewriting(**rules),
        idle_timeout=1,
        start_timeout=1,
        stop_grace=1,
        drain_timeout=1,
        min_residency=1,
        download="reject",
    )


def rewrite_request(body: Mapping[str, Any], context: RewriteContext) -> RewriteResult:
    """What becomes of a body."""
    return rewrite(context, JsonBody.parse(json.dumps({"model": context.model.id, **body}).encode()))


def rewrite_to_dict(body: Mapping[str, Any], context: RewriteContext) -> dict[str, Any]:
    """What becomes of a body, as its engine reads it, without the model's name."""
    result: dict[str, Any] = json.loads(rewrite_request(body, context).body.encode())
    assert result.pop("model") == context.model.id
    return result

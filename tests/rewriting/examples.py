"""Models and bodies for the tests of rewriting."""

import json
from collections.abc import Mapping
from typing import Any

from sparkd.catalog.definitions import EngineName, Model
from sparkd.catalog.rewriting import Rewriting
from sparkd.rewriting import JsonBody, RewriteContext, RewriteResult, rewrite

WITH_PARSERS: Mapping[str, Any] = {
    "enable-auto-tool-choice": True,
    "tool-call-parser": "hermes",
    "reasoning-parser": "qwen3",
}

PIXEL = "data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAACAkQBADs="
"""An image of one pixel."""


def model(
    id_: str = "m",
    *,
    context_length: int | None = None,
    vision: bool = False,
    media_domains: tuple[str, ...] = (),
    source: str | None = None,
    options: Mapping[str, Any] = WITH_PARSERS,
    engine: EngineName = "vllm",
    **rules: Any,
) -> Model:
    """A model whose requests are rewritten so. With a source, sparkd knows that it runs vLLM, with these options."""
    return Model(
        id=id_,
        context_length=context_length,
        vision=vision,
        media_domains=media_domains,
        source=source,
        options=options,
        engine=engine,
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

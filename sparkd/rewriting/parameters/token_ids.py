"""Token ids as the input of embeddings: they are another tokenizer's, and their vectors mean nothing."""

from __future__ import annotations

import re

from sparkd.errors import InvalidRequest
from sparkd.rewriting.body import JsonBody
from sparkd.rewriting.rewrite_context import RewriteContext

_ids = re.compile(rb"\s*\[\s*(\[\s*)?-?\d")
_HEAD = 64
"""Bytes of an input that decide whether it begins with a number."""


def reject_token_ids(context: RewriteContext, body: JsonBody) -> JsonBody:
    """Reject an input of token ids. Raises InvalidRequest."""
    value = body.fields.get("input")
    if value is None or not _ids.match(bytes(memoryview(value)[:_HEAD])):
        return body
    raise InvalidRequest(
        "`input` has token ids instead of texts. They come from another model's tokenizer, so their vectors would be "
        "meaningless. Send texts: in LangChain, set check_embedding_ctx_length=False. If the ids are "
        f'"{context.model.id}"\'s own, set `rewriting.token_ids = true` in its table.',
        param="input",
    )

"""Request fields that the owner takes out or puts in, and the name that the engine knows its model by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sparkd.rewriting.body import JsonBody
from sparkd.rewriting.decoding import decode_object, encode_raw
from sparkd.rewriting.rewrite_context import RewriteContext


def set_model_id(context: RewriteContext, body: JsonBody) -> JsonBody:
    """An engine serves its model under the id alone; clients may use an alias, or name it in the path."""
    return body if body.model == context.model.id else body.with_field("model", context.model.id)


def strip_fields(context: RewriteContext, body: JsonBody) -> JsonBody:
    """Take out what the owner wants no client to say."""
    return body.without(context.model.rewriting.strip)


def fill_defaults(context: RewriteContext, body: JsonBody) -> JsonBody:
    """Put in what the client left open."""
    given = _translate_fields(context, body, context.model.rewriting.default)
    return body.with_fields({name: value for name, value in given.items() if name not in body.fields})


def set_fields(context: RewriteContext, body: JsonBody) -> JsonBody:
    """Put in what the owner wants every client to say."""
    return body.with_fields(_translate_fields(context, body, context.model.rewriting.set))


def apply_preset(context: RewriteContext, body: JsonBody) -> JsonBody:
    """Put in what the alias stands for."""
    return body.with_fields(_translate_fields(context, body, context.preset))


def _translate_fields(context: RewriteContext, body: JsonBody, given: Mapping[str, Any]) -> dict[str, Any]:
    """Fields as the API in question spells them: a reasoning effort stands inside `reasoning` in /v1/responses."""
    normalize_flag = dict(given)
    if (
        context.api == "responses"
        and "reasoning_effort" in normalize_flag
        and "reasoning" not in normalize_flag
    ):
        reasoning = decode_object(body.fields.get("reasoning")) or {}
        normalize_flag["reasoning"] = {
            **reasoning,
            "effort": encode_raw(normalize_flag.pop("reasoning_effort")),
        }
    return normalize_flag

"""Request fields that the catalogue removes or sets, and the model's id in place of an alias."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sparkd.rewriting.body import JsonBody
from sparkd.rewriting.decoding import decode_object, encode_raw
from sparkd.rewriting.rewrite_context import RewriteContext


def set_model_id(context: RewriteContext, body: JsonBody) -> JsonBody:
    """Replace an alias by the model's id, the only name the engine knows. Clients may also name it in the path."""
    return body if body.model == context.model.id else body.with_field("model", context.model.id)


def strip_fields(context: RewriteContext, body: JsonBody) -> JsonBody:
    """Remove the fields in `strip`."""
    return body.without(context.model.rewriting.strip)


def fill_defaults(context: RewriteContext, body: JsonBody) -> JsonBody:
    """Add the fields in `default` that the client did not set."""
    given = _translate_fields(context, body, context.model.rewriting.default)
    return body.with_fields({name: value for name, value in given.items() if name not in body.fields})


def set_fields(context: RewriteContext, body: JsonBody) -> JsonBody:
    """Set the fields in `set`."""
    return body.with_fields(_translate_fields(context, body, context.model.rewriting.set))


def apply_preset(context: RewriteContext, body: JsonBody) -> JsonBody:
    """Set the fields of the preset."""
    return body.with_fields(_translate_fields(context, body, context.preset))


def _translate_fields(context: RewriteContext, body: JsonBody, given: Mapping[str, Any]) -> dict[str, Any]:
    """Fields in the API's spelling: in /v1/responses, a reasoning effort is inside `reasoning`."""
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

"""Requests for more than one machine can do in reasonable time: rejected before the model is loaded."""

from __future__ import annotations

import msgspec

from sparkd.errors import InvalidRequest
from sparkd.rewriting.body import JsonBody
from sparkd.rewriting.context_window import LIMIT_FIELDS, is_capped
from sparkd.rewriting.decoding import decode_array, decode_object, decode_value
from sparkd.rewriting.parameters.known_fields import FIELDS
from sparkd.rewriting.rewrite_context import RewriteContext

_NUMBERS = {"n": "n", "best_of": "n"}
_ALTERNATIVES = {"top_logprobs": "logprobs", "logprobs": "logprobs", "prompt_logprobs": "prompt_logprobs"}
_LISTS = dict.fromkeys(("logit_bias", "bad_words", "stop_token_ids", "logprob_token_ids"), "logit_bias")
"""Fields, and the key of `limits` that bounds each."""

BOUNDED_FIELDS = frozenset({*_NUMBERS, *_ALTERNATIVES, *_LISTS, "input", "prompt"})
BOUNDED_FIELDS |= {name for names in LIMIT_FIELDS.values() for name in names}
"""Every field that may be checked."""


def reject_excess(context: RewriteContext, body: JsonBody) -> JsonBody:
    """Reject what exceeds the model's `limits`. Raises InvalidRequest with the limit and its key."""
    if context.api == "embeddings":
        _check_items(context, body, "input", "inputs")
        return body
    known = FIELDS[context.api]
    for name in body.fields:
        if name not in known:
            continue
        if name in _NUMBERS:
            _check_number(context, body, name, _NUMBERS[name])
        elif name in _ALTERNATIVES:
            _check_alternatives(context, body, name, _ALTERNATIVES[name])
        elif name in _LISTS:
            _check_items(context, body, name, _LISTS[name])
        elif name in LIMIT_FIELDS[context.api] and not is_capped(context.model):
            _check_number(context, body, name, "tokens")
    if context.api == "completions":
        _check_items(context, body, "prompt", "prompts")
    return body


def _check_number(context: RewriteContext, body: JsonBody, name: str, key: str) -> None:
    number, bound = decode_value(body.fields[name]), _bound(context, key)
    if isinstance(number, int | float) and not isinstance(number, bool) and number > bound:
        raise _build_error(context, name, f"{number:,}", key)


def _check_alternatives(context: RewriteContext, body: JsonBody, name: str, key: str) -> None:
    """-1 stands for the whole vocabulary."""
    if decode_value(body.fields[name]) == -1:
        raise _build_error(context, name, "the whole vocabulary (-1)", key)
    _check_number(context, body, name, key)


def _check_items(context: RewriteContext, body: JsonBody, name: str, key: str) -> None:
    """Count the items of a list or an object. A prompt of token ids is one item."""
    value, bound = body.fields.get(name), _bound(context, key)
    if value is None or len(memoryview(value)) <= bound:
        return  # an item has at least one byte
    items = decode_array(value)
    if items is not None and name in ("prompt", "input") and items and _is_number(items[0]):
        return
    count = len(items) if items is not None else len(decode_object(value) or ())
    if count > bound:
        raise _build_error(context, name, f"{count:,} items", key)


def _bound(context: RewriteContext, key: str) -> int:
    bound: int = getattr(context.model.rewriting.limits, key)
    return bound


def _is_number(value: msgspec.Raw) -> bool:
    return bytes(value)[:1] in b"-0123456789"


def _build_error(context: RewriteContext, name: str, given: str, key: str) -> InvalidRequest:
    return InvalidRequest(
        f'`{name}` asks for {given}, but "{context.model.id}" allows at most {_bound(context, key):,}. Send less, '
        f"or raise `rewriting.limits.{key}` in the model's table.",
        param=name,
    )

"""Thinking, for models that can only switch it on or off.

Their chat templates read the switch from `chat_template_kwargs`, as `enable_thinking` or `thinking`. Clients have four
other ways. The first of these wins: the template's own keys, the flag, an effort.
"""

from __future__ import annotations

import msgspec

from sparkd.rewriting.body import JsonBody
from sparkd.rewriting.decoding import (
    decode_boolean,
    decode_object,
    decode_string,
    encode_raw,
    is_null,
    read_type,
)
from sparkd.rewriting.rewrite_context import RewriteContext

TEMPLATE_KWARGS = "chat_template_kwargs"
SWITCH_KEYS = ("enable_thinking", "thinking")
EFFORT_FIELDS = ("reasoning_effort", "reasoningEffort")
EFFORT_OBJECTS = ("reasoning", "output_config")
"""Objects with a key `effort`: in /v1/responses, in /v1/messages."""

KNOWN_EFFORTS = frozenset({"none", "minimal", "low", "medium", "high", "xhigh", "max", "auto"})


def apply_thinking_flag(context: RewriteContext, body: JsonBody) -> JsonBody:
    """Turn a top-level `thinking` into the template's switch. Anthropic's is `{"type": "enabled"}`."""
    wanted = _read_flag(context, body.fields.get("thinking"))
    if wanted is None:
        return body
    kwargs = decode_object(body.fields.get(TEMPLATE_KWARGS)) or {}
    given = next((kwargs[key] for key in SWITCH_KEYS if not is_null(kwargs.get(key))), encode_raw(wanted))
    switches = {key: kwargs[key] if not is_null(kwargs.get(key)) else given for key in SWITCH_KEYS}
    return body.without(("thinking",)).with_field(TEMPLATE_KWARGS, {**kwargs, **switches})


def _read_flag(context: RewriteContext, thinking: msgspec.Raw | None) -> bool | None:
    if context.api != "messages":
        return decode_boolean(thinking)
    kind = read_type(thinking)
    return {"enabled": True, "adaptive": True, "disabled": False}.get(kind or "")


def apply_reasoning_effort(_: RewriteContext, body: JsonBody) -> JsonBody:
    """Turn a reasoning effort into the template's switch: off for "none", on for other known values."""
    effort = _read_effort(body)
    if not effort:
        return body
    kwargs = decode_object(body.fields.get(TEMPLATE_KWARGS)) or {}
    body = _remove_efforts(body)
    if effort not in KNOWN_EFFORTS or any(key in kwargs for key in SWITCH_KEYS):
        return body
    return body.with_field(TEMPLATE_KWARGS, {**kwargs, **dict.fromkeys(SWITCH_KEYS, effort != "none")})


def disable_thinking(_: RewriteContext, body: JsonBody) -> JsonBody:
    """Turn thinking off unless the request sets it."""
    kwargs = decode_object(body.fields.get(TEMPLATE_KWARGS)) or {}
    if any(key in kwargs for key in SWITCH_KEYS):
        return body
    return body.with_field(TEMPLATE_KWARGS, {**kwargs, **dict.fromkeys(SWITCH_KEYS, False)})


def _read_effort(body: JsonBody) -> str:
    values = [body.fields.get(name) for name in EFFORT_FIELDS]
    values += [(decode_object(body.fields.get(place)) or {}).get("effort") for place in EFFORT_OBJECTS]
    return next((text for value in values if (text := decode_string(value)) is not None), "").strip().lower()


def _remove_efforts(body: JsonBody) -> JsonBody:
    body = body.without(EFFORT_FIELDS)
    for place in EFFORT_OBJECTS:
        fields = decode_object(body.fields.get(place))
        if fields and "effort" in fields:
            rest = {name: value for name, value in fields.items() if name != "effort"}
            body = body.with_field(place, rest) if rest else body.without((place,))
    return body

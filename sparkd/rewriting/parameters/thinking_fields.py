"""Switches for thinking at the top level, where engines ignore them: moved to where chat templates read them."""

from __future__ import annotations

from sparkd.rewriting.body import JsonBody
from sparkd.rewriting.decoding import decode_boolean, decode_object, is_null
from sparkd.rewriting.rewrite_context import RewriteContext
from sparkd.rewriting.thinking import SWITCH_KEYS, TEMPLATE_KWARGS

_FIELD = "enable_thinking"
THINKING_FIELDS = frozenset({_FIELD})


def move_thinking_field(context: RewriteContext, body: JsonBody) -> JsonBody:
    """Move `enable_thinking` into `chat_template_kwargs`, unless the switch is set there."""
    if _FIELD not in body.fields:
        return body
    wanted = decode_boolean(body.fields[_FIELD])
    body = body.without((_FIELD,))
    kwargs = decode_object(body.fields.get(TEMPLATE_KWARGS)) or {}
    if wanted is None or any(not is_null(kwargs.get(key)) for key in SWITCH_KEYS):
        return body
    keys = SWITCH_KEYS if context.model.rewriting.thinking_switch else (_FIELD,)
    return body.with_field(TEMPLATE_KWARGS, {**kwargs, **dict.fromkeys(keys, wanted)})

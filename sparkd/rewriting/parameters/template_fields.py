"""Fields that reach the chat template: a template of the client's own, and arguments that the engine sets itself."""

from __future__ import annotations

from sparkd.errors import InvalidRequest
from sparkd.rewriting.body import JsonBody
from sparkd.rewriting.decoding import decode_object, decode_string
from sparkd.rewriting.parameters.engine_facts import find_engine_option, runs_vllm
from sparkd.rewriting.rewrite_context import RewriteContext

_KWARGS = "chat_template_kwargs"
_TEMPLATE = "chat_template"
TEMPLATE_FIELDS = frozenset({_KWARGS, _TEMPLATE})
_TRUST = "trust-request-chat-template"
_RESERVED = frozenset({"messages", "conversation", "tokenize", "tokenizer", "return_dict", "raise_exception"})
"""Arguments that vLLM passes itself. A second value of one is an error."""


def check_template_fields(context: RewriteContext, body: JsonBody) -> JsonBody:
    """Leave out arguments that the engine sets, and reject a template of the client's own. Raises InvalidRequest."""
    fields = body.fields
    if _KWARGS not in fields and _TEMPLATE not in fields:
        return body
    kwargs = decode_object(fields.get(_KWARGS)) or {}
    reserved = kwargs.keys() & _RESERVED
    if reserved:
        kept = {name: value for name, value in kwargs.items() if name not in reserved}
        body = body.with_field(_KWARGS, kept) if kept else body.without((_KWARGS,))
    places = [(_TEMPLATE, fields.get(_TEMPLATE)), (f"{_KWARGS}.{_TEMPLATE}", kwargs.get(_TEMPLATE))]
    named = next((place for place, value in places if decode_string(value)), None)
    if named is None or not runs_vllm(context.model) or find_engine_option(context.model, _TRUST):
        return body
    raise InvalidRequest(
        f'`{named}` is a chat template of the client, which "{context.model.id}" does not run. Leave it out, or set '
        f"`{_TRUST} = true` in `options` of the model's table, if you trust all clients.",
        param=named,
    )


def check_logit_bias(_: RewriteContext, body: JsonBody) -> JsonBody:
    """Reject `logit_bias` for texts instead of token ids. Raises InvalidRequest."""
    bias = decode_object(body.fields.get("logit_bias"))
    wrong = next((name for name in bias or () if not name.strip().lstrip("-").isdecimal()), None)
    if wrong is None:
        return body
    raise InvalidRequest(
        f'`logit_bias` has the key "{wrong[:40]}". Its keys must be token ids; `/tokenize` lists those of a text.',
        param="logit_bias",
    )

"""A request without a prompt: rejected before the model is loaded."""

from __future__ import annotations

import msgspec

from sparkd.errors import InvalidRequest
from sparkd.rewriting.body import JsonBody
from sparkd.rewriting.decoding import decode_array, decode_string, is_null
from sparkd.rewriting.history.contents import is_blank
from sparkd.rewriting.history.conversation import read_kind, turns_field
from sparkd.rewriting.parameters.engine_facts import runs_vllm
from sparkd.rewriting.rewrite_context import GENERATING_APIS, RewriteContext

_PROMPTS = ("prompt", "prompt_embeds")


def check_prompt(context: RewriteContext, body: JsonBody) -> None:
    """Reject a request that says nothing, which vLLM does after the start. Raises InvalidRequest."""
    if context.api not in GENERATING_APIS or not runs_vllm(context.model):
        return
    fields = body.fields
    if context.api == "completions":
        if all(_is_nothing(fields.get(name)) for name in _PROMPTS):
            raise InvalidRequest(
                "`prompt` is missing or empty. Send a string with some text.", param="prompt"
            )
        return
    field = turns_field(context.api)
    value = fields.get(field)
    if read_kind(value) == "[":
        if not _is_empty_list(value):
            return
    elif context.api == "responses" and read_kind(value) == '"':
        return
    if context.api == "responses" and not is_blank(fields.get("instructions")):
        return
    expected = "a string, or a list of items" if context.api == "responses" else "a list of messages"
    raise InvalidRequest(
        f"`{field}` is {_describe(value)}. It must be {expected}, such as "
        '[{"role": "user", "content": "Hello"}].',
        param=field,
    )


def _is_empty_list(value: msgspec.Raw | None) -> bool:
    """Whether a value is an empty list. A long one is not decoded: it has something."""
    return value is not None and len(memoryview(value)) < 64 and decode_array(value) == []


def _is_nothing(value: msgspec.Raw | None) -> bool:
    return is_null(value) or decode_string(value) == "" or _is_empty_list(value)


def _describe(value: msgspec.Raw | None) -> str:
    if value is None:
        return "missing"
    return "empty" if read_kind(value) == "[" else "null" if is_null(value) else "of another type"

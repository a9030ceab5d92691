"""Fields of /v1/responses alone: what only another vendor's server can do, and names that engines do not know."""

from __future__ import annotations

from collections.abc import Mapping

from sparkd.errors import InvalidRequest
from sparkd.rewriting.body import JsonBody
from sparkd.rewriting.decoding import (
    decode_array,
    decode_boolean,
    decode_object,
    decode_string,
    decode_value,
    is_null,
)
from sparkd.rewriting.rewrite_context import RewriteContext

_STORE_SWITCH = "VLLM_ENABLE_RESPONSES_API_STORE"
_INCLUDABLE = frozenset(
    {
        *("reasoning.encrypted_content", "message.output_text.logprobs", "message.input_image.image_url"),
        *(
            "file_search_call.results",
            "computer_call_output.output.image_url",
            "code_interpreter_call.outputs",
        ),
    }
)
"""What every version of vLLM with this API knows; the rest concerns tools that only OpenAI runs."""

_SUMMARIES = ("auto", "concise", "detailed")
_CHOICES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "reasoning": {"summary": _SUMMARIES, "generate_summary": _SUMMARIES},
    "text": {"verbosity": ("low", "medium", "high")},
}
"""Keys inside a field, and their values."""

CHOICE_FIELDS = frozenset({"include", *_CHOICES})
STORE_FIELDS = frozenset({"prompt", "conversation", "previous_response_id", "background"})


def fix_responses_fields(_: RewriteContext, body: JsonBody) -> JsonBody:
    """Leave out unknown names in `include`, `reasoning` and `text`."""
    body = _fix_include(body)
    for field, choices in _CHOICES.items():
        fields = decode_object(body.fields.get(field))
        if fields is None:
            continue
        wrong = [
            name
            for name, known in choices.items()
            if not is_null(fields.get(name)) and decode_string(fields[name]) not in known
        ]
        if wrong:
            rest = {name: value for name, value in fields.items() if name not in wrong}
            body = body.with_field(field, rest) if rest else body.without((field,))
    return body


def _fix_include(body: JsonBody) -> JsonBody:
    value = body.fields.get("include")
    if value is None:
        return body
    names = decode_array(value)
    given = [decode_string(value)] if names is None else [decode_string(name) for name in names]
    known = [name for name in given if name in _INCLUDABLE]
    if names is not None and known == given:
        return body
    return body.with_field("include", known) if known else body.without(("include",))


def reject_stored_responses(context: RewriteContext, body: JsonBody) -> JsonBody:
    """Reject what needs stored responses, which vLLM keeps only if it is switched on. Raises InvalidRequest."""
    fields = body.fields
    if not is_null(fields.get("prompt")):
        raise InvalidRequest(
            "`prompt` names a prompt that OpenAI stores. Send its text in `instructions` and `input`.",
            param="prompt",
        )
    if not is_null(fields.get("conversation")):
        raise InvalidRequest(
            "`conversation` names a conversation that OpenAI stores. Send its items in `input`.",
            param="conversation",
        )
    names = [name for name in ("previous_response_id", "background") if _asks_for(body, name)]
    if not names or str(context.model.environment.get(_STORE_SWITCH, "0")) not in ("", "0"):
        return body
    raise InvalidRequest(
        f'`{names[0]}` needs stored responses, and the engine of "{context.model.id}" stores none. Send the whole '
        f'conversation in `input`, without `{names[0]}`, or set `environment = {{ {_STORE_SWITCH} = "1" }}` in the '
        "model's table.",
        param=names[0],
    )


def _asks_for(body: JsonBody, name: str) -> bool:
    value = body.fields.get(name)
    if name == "background":
        return decode_boolean(value) is True
    return bool(decode_value(value))

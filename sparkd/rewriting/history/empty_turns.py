"""Assistant turns that say nothing: left behind by a stream that was cancelled, or by a client that trims history."""

from __future__ import annotations

import msgspec

from sparkd.rewriting.body import JsonBody
from sparkd.rewriting.decoding import (
    Fields,
    decode_array,
    decode_boolean,
    decode_object,
    decode_string,
    decode_value,
    is_null,
)
from sparkd.rewriting.history.contents import is_blank
from sparkd.rewriting.history.conversation import (
    NewTurn,
    read_conversation,
    read_kind,
    replace_turns,
    with_values,
)
from sparkd.rewriting.history.reasoning_items import drop_loose_reasoning
from sparkd.rewriting.rewrite_context import RewriteContext

NO_ANSWER = "(no answer)"

_SAYING_FIELDS = ("tool_calls", "function_call", "reasoning", "reasoning_content", "refusal")
_CALL_FIELDS = ("tool_calls", "function_call")


def drop_empty_turns(context: RewriteContext, body: JsonBody) -> JsonBody:
    """Remove each assistant turn with neither text nor tool calls; fill it if no other turn would be left."""
    if context.api == "responses":
        body = drop_loose_reasoning(context, body)
    conversation = read_conversation(context, body)
    if conversation is None:
        return body
    is_empty = _is_empty_blocks if context.api == "messages" else _is_empty
    empty = [
        index
        for index, role in enumerate(conversation.roles)
        if role == "assistant" and is_empty(conversation.turns[index])
    ]
    if not empty:
        return body
    if empty[-1] == len(conversation.turns) - 1 and decode_boolean(body.fields.get("continue_final_message")):
        empty.pop()
    changes: dict[int, list[NewTurn]] = {index: [] for index in empty}
    if len(empty) == len(conversation.turns):
        changes[0] = [with_values(conversation.turns[0], {"content": NO_ANSWER})]
    return replace_turns(context, body, conversation, changes)


def fill_null_content(context: RewriteContext, body: JsonBody) -> JsonBody:
    """Turn the null content of an assistant message with tool calls into an empty text."""
    conversation = read_conversation(context, body)
    if conversation is None or conversation.keys.isdisjoint(_CALL_FIELDS):
        return body
    changes = {
        index: [with_values(turn, {"content": ""})]
        for index, turn in enumerate(conversation.turns)
        if read_kind(turn.get("content")) == "n" and conversation.roles[index] == "assistant"
    }
    return replace_turns(context, body, conversation, changes)


def _is_empty(turn: Fields) -> bool:
    return is_blank(turn.get("content")) and all(_is_nothing(turn.get(name)) for name in _SAYING_FIELDS)


def _is_nothing(value: msgspec.Raw | None) -> bool:
    return is_null(value) or decode_value(value) in ("", [], {})


def _is_empty_blocks(turn: Fields) -> bool:
    blocks = decode_array(turn.get("content"))
    return is_blank(turn.get("content")) if blocks is None else not any(map(_says_something, blocks))


def _says_something(block: msgspec.Raw) -> bool:
    fields = decode_object(block) or {}
    name = {"text": "text", "thinking": "thinking"}.get(decode_string(fields.get("type")) or "")
    return name is None or not is_blank(fields.get(name))

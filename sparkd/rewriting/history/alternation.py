"""Alternating roles in /v1/responses and /v1/messages, for chat templates that accept nothing else."""

from __future__ import annotations

import msgspec

from sparkd.rewriting.body import JsonBody
from sparkd.rewriting.decoding import Fields, decode_array, decode_object, decode_string
from sparkd.rewriting.history.contents import join_contents, make_user_turn, read_only_text
from sparkd.rewriting.history.conversation import (
    SYSTEM_ROLES,
    NewTurn,
    read_conversation,
    read_kind,
    replace_turns,
    with_values,
)
from sparkd.rewriting.history.user_turn import BEGIN
from sparkd.rewriting.rewrite_context import Api, RewriteContext

_ROLES = ("user", "assistant")


def alternate_turns(context: RewriteContext, body: JsonBody) -> JsonBody:
    """Merge neighbouring turns of one role, and begin with the user."""
    conversation = read_conversation(context, body)
    if conversation is None:
        return body
    changes: dict[int, list[NewTurn]] = {}
    merged: dict[int, Fields] = {}
    first = 0  # of the turns that are being merged
    for index, turn in enumerate(conversation.turns):
        if index and _are_joinable(context.api, merged.get(first, conversation.turns[first]), turn):
            merged[first] = _join_turns(context.api, merged.get(first, conversation.turns[first]), turn)
            changes[index] = []
        else:
            first = index
    changes |= {index: [turn] for index, turn in merged.items()}
    start = next((i for i, role in enumerate(conversation.roles) if role not in SYSTEM_ROLES), None)
    if start is not None and conversation.turns[start] and conversation.roles[start] != "user":
        rest = changes.get(start, [conversation.raw_turns[start]])
        changes[start] = [make_user_turn(BEGIN, context.api), *rest]
    return replace_turns(context, body, conversation, changes)


def _are_joinable(api: Api, first: Fields, second: Fields) -> bool:
    role = decode_string(first.get("role"))
    if role not in _ROLES or role != decode_string(second.get("role")):
        return False
    if api == "messages":
        return not any(map(_is_tool_result, decode_array(second.get("content")) or ())) and all(
            read_kind(turn.get("content")) in ('"', "[") for turn in (first, second)
        )
    if any(decode_string(turn.get("type")) not in (None, "message") for turn in (first, second)):
        return False
    return role == "user" or all(read_only_text(turn.get("content")) is not None for turn in (first, second))


def _is_tool_result(block: msgspec.Raw) -> bool:
    return decode_string((decode_object(block) or {}).get("type")) == "tool_result"


def _join_turns(api: Api, first: Fields, second: Fields) -> Fields:
    content = join_contents([first.get("content"), second.get("content")], api)
    if api == "responses" and decode_string(first.get("role")) == "assistant":
        return {**with_values({}, {"type": "message", "role": "assistant"}), "content": content}
    return {**first, "content": content}

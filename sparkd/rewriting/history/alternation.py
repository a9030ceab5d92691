"""Alternating roles in /v1/responses and /v1/messages, for chat templates that accept nothing else.

A result of a tool counts as neither role, but the user may not follow it: a short answer comes between.
"""

from __future__ import annotations

import msgspec

from sparkd.rewriting.body import JsonBody
from sparkd.rewriting.decoding import Fields, decode_array, decode_object, decode_string, encode_raw
from sparkd.rewriting.history.contents import join_contents, make_user_turn, read_only_text
from sparkd.rewriting.history.conversation import (
    SYSTEM_ROLES,
    Conversation,
    NewTurn,
    read_conversation,
    read_kind,
    replace_turns,
    with_values,
)
from sparkd.rewriting.history.user_turn import BEGIN
from sparkd.rewriting.rewrite_context import Api, RewriteContext

UNDERSTOOD = "Understood."
"""The model's answer between a tool's result and a user turn, or between two user turns."""

_ROLES = ("user", "assistant")


def alternate_turns(context: RewriteContext, body: JsonBody) -> JsonBody:
    """Merge neighbouring turns of one role, begin with the user, and answer results before a user turn."""
    return _begin_with_user(context, _merge_neighbours(context, _answer_results(context, body)))


def _merge_neighbours(context: RewriteContext, body: JsonBody) -> JsonBody:
    conversation = read_conversation(context, body)
    if conversation is None:
        return body
    merged: dict[int, Fields] = {}
    changes: dict[int, list[NewTurn]] = {}
    first = 0  # of the turns that are being merged
    for index, turn in enumerate(conversation.turns):
        current = merged.get(first, conversation.turns[first])
        if index and _are_joinable(context.api, current, turn):
            merged[first] = _join_turns(context.api, current, turn)
            changes[index] = []
        else:
            first = index
    changes |= {index: [turn] for index, turn in merged.items()}
    return replace_turns(context, body, conversation, changes)


def _begin_with_user(context: RewriteContext, body: JsonBody) -> JsonBody:
    conversation = read_conversation(context, body)
    if conversation is None:
        return body
    start = next((index for index, turn in enumerate(conversation.turns) if not _is_system(turn)), None)
    if start is None or not conversation.turns[start] or conversation.roles[start] == "user":
        return body
    turns: list[NewTurn] = [make_user_turn(BEGIN, context.api), conversation.raw_turns[start]]
    return replace_turns(context, body, conversation, {start: turns})


def _is_system(turn: Fields) -> bool:
    is_message = decode_string(turn.get("type")) in (None, "message")
    return is_message and decode_string(turn.get("role")) in SYSTEM_ROLES


def _answer_results(context: RewriteContext, body: JsonBody) -> JsonBody:
    conversation = read_conversation(context, body)
    if conversation is None:
        return body
    turns = conversation.turns
    if context.api == "messages":
        return replace_turns(context, body, conversation, _answer_blocks(conversation))
    changes: dict[int, list[NewTurn]] = {
        index: [_make_answer(context.api), conversation.raw_turns[index]]
        for index in range(1, len(turns))
        if conversation.roles[index] == "user"
        and decode_string(turns[index - 1].get("type")) == "function_call_output"
    }
    return replace_turns(context, body, conversation, changes)


def _answer_blocks(conversation: Conversation) -> dict[int, list[NewTurn]]:
    """Answers between results and what the user says next, in the same message or in another one."""
    changes: dict[int, list[NewTurn]] = {}
    follows_results = False
    for index, turn in enumerate(conversation.turns):
        blocks = decode_array(turn.get("content")) or []
        results = [block for block in blocks if _is_result(block)]
        others = [block for block in blocks if not _is_result(block)]
        is_user = conversation.roles[index] == "user"
        if is_user and results and others:
            first = {**turn, "content": encode_raw(results)}
            changes[index] = [first, _make_answer("messages"), {**turn, "content": encode_raw(others)}]
        elif is_user and follows_results and not results:
            changes[index] = [_make_answer("messages"), turn]
        follows_results = is_user and bool(results) and not others
    return changes


def _make_answer(api: Api) -> Fields:
    fields = {"role": "assistant", "content": UNDERSTOOD}
    return with_values({}, {"type": "message", **fields} if api == "responses" else fields)


def _are_joinable(api: Api, first: Fields, second: Fields) -> bool:
    role = decode_string(first.get("role"))
    if role not in _ROLES or role != decode_string(second.get("role")):
        return False
    if api == "messages":
        contents = [first.get("content"), second.get("content")]
        blocks = [block for content in contents for block in decode_array(content) or ()]
        return not any(map(_is_result, blocks)) and all(
            read_kind(content) in ('"', "[") for content in contents
        )
    if any(decode_string(turn.get("type")) not in (None, "message") for turn in (first, second)):
        return False
    return role == "user" or all(read_only_text(turn.get("content")) is not None for turn in (first, second))


def _is_result(block: msgspec.Raw) -> bool:
    return decode_string((decode_object(block) or {}).get("type")) == "tool_result"


def _join_turns(api: Api, first: Fields, second: Fields) -> Fields:
    content = join_contents([first.get("content"), second.get("content")], api)
    if api == "responses" and decode_string(first.get("role")) == "assistant":
        return {**with_values({}, {"type": "message", "role": "assistant"}), "content": content}
    return {**first, "content": content}

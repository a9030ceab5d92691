"""Alternating roles in /v1/responses and /v1/messages, for chat templates that accept nothing else.

A result of a tool counts as neither role, but the user may not follow it: a short answer comes between.
"""

from __future__ import annotations

from itertools import groupby

import msgspec

from sparkd.rewriting.body import JsonBody
from sparkd.rewriting.decoding import (
    Fields,
    decode_array,
    decode_string,
    encode_raw,
    read_type,
)
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
    changes: dict[int, list[NewTurn]] = {}
    indexes = range(len(conversation.turns))
    for (role, is_mergeable), group in groupby(
        indexes, lambda index: _describe(context.api, conversation, index)
    ):
        same = list(group)
        if is_mergeable and role in _ROLES and len(same) > 1:
            changes |= {index: [] for index in same}
            changes[same[0]] = [_join_turns(context.api, [conversation.turns[index] for index in same])]
    return replace_turns(context, body, conversation, changes)


def _describe(api: Api, conversation: Conversation, index: int) -> tuple[str | None, bool]:
    """The role of a turn, and whether it can be merged with others of that role."""
    role = conversation.roles[index]
    return role, _is_mergeable(api, conversation.turns[index], role)


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


def _is_mergeable(api: Api, turn: Fields, role: str | None) -> bool:
    content = turn.get("content")
    if api == "messages":
        return read_kind(content) in ('"', "[") and not any(map(_is_result, decode_array(content) or ()))
    is_message = decode_string(turn.get("type")) in (None, "message")
    return is_message and (role == "user" or read_only_text(content) is not None)


def _is_result(block: msgspec.Raw) -> bool:
    return read_type(block) == "tool_result"


def _join_turns(api: Api, turns: list[Fields]) -> Fields:
    """Turns as one. Their contents are joined at once: there may be thousands."""
    content = join_contents([turn.get("content") for turn in turns], api)
    if api == "responses" and decode_string(turns[0].get("role")) == "assistant":
        return {**with_values({}, {"type": "message", "role": "assistant"}), "content": content}
    return {**turns[0], "content": content}

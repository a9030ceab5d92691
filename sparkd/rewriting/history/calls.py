"""Tool calls and their results: each call has one result and an id of its own, and each result has a call.

An agent that was interrupted leaves calls without results, one that compacts its history leaves results without
calls, and some servers give every call the same id. Templates, and engines, reject each of these.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import Any

from sparkd.rewriting.body import JsonBody
from sparkd.rewriting.decoding import (
    Fields,
    decode_array,
    decode_object,
    decode_string,
    encode_raw,
    read_type,
)
from sparkd.rewriting.history.call_ids import Event, Pairing, Separates, pair_calls
from sparkd.rewriting.history.contents import (
    RESULT_HEADING,
    make_user_turn,
    prefix_content,
    read_parts,
)
from sparkd.rewriting.history.conversation import (
    Conversation,
    NewTurn,
    read_conversation,
    replace_turns,
    with_values,
)
from sparkd.rewriting.history.missing_results import insert_results
from sparkd.rewriting.history.strictness import alternates_roles
from sparkd.rewriting.rewrite_context import Api, RewriteContext

_BLOCK_IDS = {"tool_use": "id", "tool_result": "tool_use_id"}
_ITEM_TYPES = {"function_call": False, "function_call_output": True}


def pair_tool_calls(context: RewriteContext, body: JsonBody) -> JsonBody:
    """Give every call a result and an id of its own. A result without a call becomes a user's text."""
    conversation = read_conversation(context, body)
    if conversation is None:
        return body
    events = list(_LISTERS[context.api](conversation))
    if not events:
        return body
    is_strict = alternates_roles(context)
    pairing = pair_calls(
        events,
        short=context.template.short_call_ids is True,
        separates=_make_separator(context.api, conversation) if is_strict else None,
    )
    end = _find_open_end(context.api, conversation)
    has_unanswered = any(event.turn < end for event in pairing.unanswered)
    renamed = any(pairing.ids.get((event.turn, event.part), event.id) != event.id for event in events)
    if not renamed and not pairing.orphans and not has_unanswered:
        return body
    changes: dict[int, list[NewTurn]] = {}
    for index in {event.turn for event in events}:
        new = _rewrite_turn(context.api, conversation.turns[index], index, pairing)
        if new is not conversation.turns[index]:
            changes[index] = [new]
    insert_results(context.api, conversation, pairing, changes, end)
    return replace_turns(context, body, conversation, changes)


def _make_separator(api: Api, conversation: Conversation) -> Separates:
    """Finds messages between a call and its result: a template whose roles alternate rejects them.

    Nothing is moved: the result becomes a user turn where it is.
    """
    between = [
        index for index in range(len(conversation.turns)) if not _has_only_results(api, conversation, index)
    ]

    def separates(call: Event, result: Event) -> bool:
        return bisect_right(between, call.turn) < bisect_left(between, result.turn)

    return separates


def _has_only_results(api: Api, conversation: Conversation, index: int) -> bool:
    """Whether a turn may be between a call and its result. In responses, other calls may be, too."""
    turn = conversation.turns[index]
    if api == "chat":
        return conversation.roles[index] == "tool"
    if api == "responses":
        return decode_string(turn.get("type")) in _ITEM_TYPES
    kinds = [read_type(block) for block in decode_array(turn.get("content")) or ()]
    return bool(kinds) and set(kinds) == {"tool_result"}


def _find_open_end(api: Api, conversation: Conversation) -> int:
    """The first turn of the end, whose calls may still get results."""
    end = len(conversation.turns) - 1
    while (
        api == "responses"
        and end > 0
        and _is_call(conversation.turns[end - 1])
        and _is_call(conversation.turns[end])
    ):
        end -= 1
    return end


def _is_call(item: Fields) -> bool:
    return decode_string(item.get("type")) == "function_call"


def _list_chat_events(conversation: Conversation) -> Iterator[Event]:
    for index, turn in enumerate(conversation.decoded_turns):
        role = turn.get("role")
        if role == "tool":
            yield Event(index, 0, _read_id(turn, "tool_call_id"), True)
        elif role == "assistant":
            for part, call in enumerate(_list_objects(turn.get("tool_calls"))):
                if call is not None:
                    yield Event(index, part, _read_id(call, "id"), False)


def _list_block_events(conversation: Conversation) -> Iterator[Event]:
    for index, turn in enumerate(conversation.decoded_turns):
        is_user = turn.get("role") == "user"
        kind = "tool_result" if is_user else "tool_use"
        for part, block in enumerate(_list_objects(turn.get("content"))):
            if block is not None and block.get("type") == kind:
                yield Event(index, part, _read_id(block, _BLOCK_IDS[kind]), is_user)


def _list_item_events(conversation: Conversation) -> Iterator[Event]:
    for index, turn in enumerate(conversation.decoded_turns):
        kind = turn.get("type")
        if isinstance(kind, str) and kind in _ITEM_TYPES:
            yield Event(index, 0, _read_id(turn, "call_id"), _ITEM_TYPES[kind])


def _list_objects(values: object) -> list[dict[str, Any] | None]:
    """The items of an array that are objects, with None in place of others."""
    if not isinstance(values, list):
        return []
    return [value if isinstance(value, dict) else None for value in values]


def _read_id(fields: dict[str, Any], name: str) -> str | None:
    id_ = fields.get(name)
    return id_ if id_ and isinstance(id_, str) else None


_LISTERS = {"chat": _list_chat_events, "messages": _list_block_events, "responses": _list_item_events}


def _rewrite_turn(api: Api, turn: Fields, index: int, pairing: Pairing) -> Fields:
    if api == "messages":
        return _rewrite_blocks(turn, index, pairing)
    if "tool_calls" in turn and api == "chat" and (index, 0) not in pairing.orphans:
        return _rewrite_tool_calls(turn, index, pairing)
    if (index, 0) in pairing.orphans:
        content = turn.get("output" if api == "responses" else "content")
        return make_user_turn(prefix_content(RESULT_HEADING, content, api), api)
    return _with_id(turn, "call_id" if api == "responses" else "tool_call_id", pairing.ids[index, 0])


def _rewrite_tool_calls(turn: Fields, index: int, pairing: Pairing) -> Fields:
    calls = decode_array(turn["tool_calls"]) or []
    new_calls = []
    for part, call in enumerate(calls):
        fields = decode_object(call)
        id_ = pairing.ids.get((index, part))
        new = _with_id(fields, "id", id_) if fields is not None and id_ is not None else fields
        new_calls.append(call if new is fields or new is None else encode_raw(new))
    same = all(new is old for new, old in zip(new_calls, calls, strict=True))
    return turn if same else {**turn, "tool_calls": encode_raw(new_calls)}


def _rewrite_blocks(turn: Fields, index: int, pairing: Pairing) -> Fields:
    blocks = decode_array(turn.get("content")) or []
    new_blocks = []
    for part, block in enumerate(blocks):
        fields = decode_object(block) or {}
        if (index, part) in pairing.orphans:
            content = prefix_content(RESULT_HEADING, fields.get("content"), "messages")
            new_blocks += read_parts(content, "messages")
        elif (index, part) in pairing.ids:
            name = _BLOCK_IDS[decode_string(fields.get("type")) or ""]
            new = _with_id(fields, name, pairing.ids[index, part])
            new_blocks.append(block if new is fields else encode_raw(new))
        else:
            new_blocks.append(block)
    same = len(blocks) == len(new_blocks) and all(
        new is old for new, old in zip(new_blocks, blocks, strict=True)
    )
    return turn if same else {**turn, "content": encode_raw(new_blocks)}


def _with_id(fields: Fields, name: str, id_: str) -> Fields:
    return fields if decode_string(fields.get(name)) == id_ else with_values(fields, {name: id_})

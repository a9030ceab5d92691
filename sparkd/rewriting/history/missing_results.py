"""Results for tool calls that have none."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import msgspec

from sparkd.rewriting.decoding import decode_object, decode_string, encode_raw, read_type
from sparkd.rewriting.history.call_ids import Pairing
from sparkd.rewriting.history.contents import NO_RESULT, read_parts
from sparkd.rewriting.history.conversation import Conversation, NewTurn
from sparkd.rewriting.rewrite_context import Api


def insert_results(
    api: Api, conversation: Conversation, pairing: Pairing, changes: dict[int, list[NewTurn]], end: int
) -> None:
    """Add results of the calls without one, before turn `end`, to `changes`: behind the results that there are."""
    unanswered = [event for event in pairing.unanswered if event.turn < end]
    ends = _find_ends(api, conversation, pairing) if unanswered and api != "messages" else []
    results: dict[int, list[NewTurn]] = {}
    for index, group in groupby(unanswered, lambda event: event.turn):
        ids = [pairing.ids[event.turn, event.part] for event in group]
        if api == "messages":
            _insert_blocks(conversation, changes, index, ids)
        else:
            results.setdefault(ends[index], []).extend(_make_result(api, id_) for id_ in ids)
    for last, turns in results.items():
        changes[last] = [*changes.get(last, [conversation.raw_turns[last]]), *turns]


def _find_ends(api: Api, conversation: Conversation, pairing: Pairing) -> list[int]:
    """For each turn, the last one of the calls and results that follow it. In one pass: there may be thousands."""
    count = len(conversation.turns)
    ends = list(range(count))
    for index in range(count - 2, -1, -1):
        if _continues_calls(api, conversation, pairing, index + 1):
            ends[index] = ends[index + 1]
    return ends


def _continues_calls(api: Api, conversation: Conversation, pairing: Pairing, index: int) -> bool:
    if (index, 0) in pairing.orphans:
        return False
    if api == "chat":
        return conversation.roles[index] == "tool"
    kind = decode_string(conversation.turns[index].get("type"))
    return kind in ("function_call", "function_call_output")


def _make_result(api: Api, id_: str) -> msgspec.Raw:
    if api == "responses":
        return encode_raw({"type": "function_call_output", "call_id": id_, "output": NO_RESULT})
    return encode_raw({"role": "tool", "tool_call_id": id_, "content": NO_RESULT})


def _insert_blocks(
    conversation: Conversation, changes: dict[int, list[NewTurn]], index: int, ids: Sequence[str]
) -> None:
    results = [
        encode_raw({"type": "tool_result", "tool_use_id": id_, "content": NO_RESULT, "is_error": True})
        for id_ in ids
    ]
    following = index + 1
    if conversation.roles[following] != "user":
        turn = encode_raw({"role": "user", "content": results})
        changes[index] = [*changes.get(index, [conversation.raw_turns[index]]), turn]
        return
    [given] = changes.get(following, [conversation.turns[following]])
    fields = given if isinstance(given, dict) else decode_object(given) or {}
    blocks = read_parts(fields.get("content"), "messages")
    count = 0
    while count < len(blocks) and _is_result(blocks[count]):
        count += 1
    changes[following] = [{**fields, "content": encode_raw([*blocks[:count], *results, *blocks[count:]])}]


def _is_result(block: msgspec.Raw) -> bool:
    return read_type(block) == "tool_result"

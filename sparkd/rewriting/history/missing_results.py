"""Results for tool calls that have none."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from sparkd.rewriting.decoding import decode_object, decode_string, encode_raw
from sparkd.rewriting.history.call_ids import Pairing
from sparkd.rewriting.history.contents import NO_RESULT, read_parts
from sparkd.rewriting.history.conversation import Conversation, NewTurn
from sparkd.rewriting.rewrite_context import Api


def insert_results(
    api: Api,
    conversation: Conversation,
    pairing: Pairing,
    changes: dict[int, list[NewTurn]],
    *,
    index: int,
    ids: Sequence[str],
) -> None:
    """Add results of the calls `ids` of turn `index` to `changes`, behind the results that this turn has."""
    if api == "messages":
        _insert_blocks(conversation, changes, index, ids)
        return
    last = index
    while last + 1 < len(conversation.turns) and _continues_calls(api, conversation, pairing, last + 1):
        last += 1
    turns: list[NewTurn] = [_make_result(api, id_) for id_ in ids]
    changes[last] = [*changes.get(last, [conversation.raw_turns[last]]), *turns]


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
    return decode_string((decode_object(block) or {}).get("type")) == "tool_result"

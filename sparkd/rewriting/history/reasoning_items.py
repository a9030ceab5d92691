"""Reasoning items of /v1/responses."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import msgspec

from sparkd.rewriting.body import JsonBody
from sparkd.rewriting.decoding import Fields, decode_array, decode_object, decode_string, is_null
from sparkd.rewriting.history.conversation import (
    NewTurn,
    read_conversation,
    read_kind,
    replace_turns,
    with_values,
)
from sparkd.rewriting.rewrite_context import RewriteContext

_STATES = ("in_progress", "completed", "incomplete")


def fix_reasoning(index: int, turn: Fields) -> Sequence[NewTurn] | None:
    """Complete a reasoning item; remove one that has no text, such as an encrypted one.

    Engines read only the first part, so several become one.
    """
    content, summary = _read_texts(turn.get("content")), _read_texts(turn.get("summary"))
    if not any(content) and not any(summary):
        return []
    if _is_complete(turn, content, summary):
        return None
    status = {"status": turn["status"]} if decode_string(turn.get("status")) in _STATES else {}
    values = {"type": "reasoning", "id": decode_string(turn.get("id")) or f"rs_{index}"}
    return [with_values({}, {**values, **_make_texts(content, summary)}) | status]


def merge_reasoning(context: RewriteContext, body: JsonBody) -> JsonBody:
    """Merge neighbouring reasoning items: engines give each but the last an assistant's message of its own."""
    conversation = read_conversation(context, body)
    if conversation is None or "summary" not in conversation.keys:
        return body
    changes: dict[int, list[NewTurn]] = {}
    for is_reasoning, group in groupby(enumerate(conversation.turns), lambda each: _is_reasoning(each[1])):
        items = list(group)
        if is_reasoning and len(items) > 1:
            first, merged = items[0]
            texts = [text for _, item in items for text in _read_text(item)]
            changes |= {index: [] for index, _ in items}
            changes[first] = [{**merged, **with_values({}, _make_texts(texts, []))}]
    return replace_turns(context, body, conversation, changes)


def drop_loose_reasoning(context: RewriteContext, body: JsonBody) -> JsonBody:
    """Remove reasoning behind which neither an answer nor a tool call comes: the model was interrupted."""
    conversation = read_conversation(context, body)
    if conversation is None or "summary" not in conversation.keys:
        return body
    turns = conversation.turns
    changes: dict[int, list[NewTurn]] = {
        index: []
        for index, turn in enumerate(turns[:-1])
        if _is_reasoning(turn) and not _is_from_model(turns[index + 1])
    }
    return replace_turns(context, body, conversation, changes)


def _is_from_model(turn: Fields) -> bool:
    kind = decode_string(turn.get("type"))
    return kind in ("function_call", "reasoning") or decode_string(turn.get("role")) == "assistant"


def _is_reasoning(turn: Fields) -> bool:
    return decode_string(turn.get("type")) == "reasoning"


def _read_text(turn: Fields) -> list[str]:
    content = _read_texts(turn.get("content"))
    return content if any(content) else _read_texts(turn.get("summary"))


def _make_texts(content: list[str], summary: list[str]) -> dict[str, object]:
    if any(content):
        return {"summary": [], "content": [{"type": "reasoning_text", "text": _join(content)}]}
    return {"summary": [{"type": "summary_text", "text": _join(summary)}]}


def _is_complete(turn: Fields, content: list[str], summary: list[str]) -> bool:
    return (
        bool(decode_string(turn.get("id")))
        and is_null(turn.get("encrypted_content"))
        and (is_null(turn.get("status")) or decode_string(turn["status"]) in _STATES)
        and read_kind(turn.get("summary")) == "["
        and all(_has_type(part, "summary_text") for part in decode_array(turn.get("summary")) or ())
        and (is_null(turn.get("content")) or decode_array(turn.get("content")) is not None)
        and all(_has_type(part, "reasoning_text") for part in decode_array(turn.get("content")) or ())
        and (len(content) == 1 or (is_null(turn.get("content")) and len(summary) == 1))
    )


def _has_type(part: msgspec.Raw, kind: str) -> bool:
    fields = decode_object(part) or {}
    return decode_string(fields.get("type")) == kind and decode_string(fields.get("text")) is not None


def _read_texts(value: msgspec.Raw | None) -> list[str]:
    text = decode_string(value)
    if text is not None:
        return [text]
    fields = [decode_object(part) or {} for part in decode_array(value) or ()]
    return [decode_string(part.get("text")) or "" for part in fields]


def _join(texts: list[str]) -> str:
    return "\n\n".join(filter(None, texts))

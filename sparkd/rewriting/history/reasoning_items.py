"""Reasoning items of /v1/responses."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from sparkd.rewriting.decoding import Fields, decode_array, decode_object, decode_string, is_null
from sparkd.rewriting.history.conversation import NewTurn, read_kind, with_values

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
    values = {
        "type": "reasoning",
        "id": decode_string(turn.get("id")) or f"rs_{index}",
        "summary": [] if any(content) else [{"type": "summary_text", "text": _join(summary)}],
    }
    if any(content):
        values["content"] = [{"type": "reasoning_text", "text": _join(content)}]
    return [with_values({}, values) | status]


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

"""Turns of the shapes that nearly all turns have, by API: no rule about shapes or arguments changes them.

Whatever is not recognized here is left to these rules.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from sparkd.rewriting.rewrite_context import Api

_object_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])

_MESSAGE_KEYS = frozenset({"role", "content", "tool_calls", "tool_call_id"})
_ROLES = ("user", "assistant", "tool", "system", "developer")
_CALL_KEYS = frozenset({"type", "call_id", "name", "arguments"})
_OUTPUT_KEYS = frozenset({"type", "call_id", "output"})


def is_object_text(text: object) -> bool:
    """Whether a value is a string that holds a JSON object."""
    try:
        return isinstance(text, str) and _object_decoder.decode(text) is not None
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return False


def _is_usual_message(turn: dict[str, Any]) -> bool:
    """A message of a chat."""
    if not turn.keys() <= _MESSAGE_KEYS or turn.get("role") not in _ROLES:
        return False
    content = turn.get("content")
    if content is None:
        if "content" in turn and turn["role"] != "assistant":
            return False
    elif not isinstance(content, str) and not _are_texts(content, "text"):
        return False
    if "tool_calls" not in turn:
        return True
    calls = turn["tool_calls"]
    return isinstance(calls, list) and bool(calls) and all(map(_is_usual_call, calls))


def _is_usual_call(call: Any) -> bool:
    if not isinstance(call, dict) or call.get("type") != "function":
        return False
    function = call.get("function")
    return (
        isinstance(function, dict)
        and isinstance(function.get("name"), str)
        and is_object_text(function.get("arguments"))
    )


def _are_texts(parts: Any, kind: str) -> bool:
    """Whether content consists of texts, none of them empty."""
    return isinstance(parts, list) and bool(parts) and all(_is_text(part, kind) for part in parts)


def _is_text(part: Any, kind: str) -> bool:
    return (
        isinstance(part, dict)
        and part.get("type") == kind
        and isinstance(part.get("text"), str)
        and bool(part["text"])
    )


def _has_usual_blocks(turn: dict[str, Any]) -> bool:
    """A message of /v1/messages."""
    content = turn.get("content")
    if isinstance(content, str):
        return True
    return isinstance(content, list) and bool(content) and all(map(_is_usual_block, content))


def _is_usual_block(block: Any) -> bool:
    if _is_text(block, "text"):
        return True
    kind = block.get("type") if isinstance(block, dict) else None
    if kind == "tool_use":
        return isinstance(block.get("input"), dict)
    if kind == "tool_result":
        content = block.get("content")
        return content is None or isinstance(content, str) or _are_texts(content, "text")
    return False


def _is_usual_item(item: dict[str, Any]) -> bool:
    """An item of /v1/responses."""
    kind = item.get("type")
    if kind == "function_call":
        return (
            item.keys() <= _CALL_KEYS
            and _is_name(item.get("call_id"))
            and _is_name(item.get("name"))
            and is_object_text(item.get("arguments"))
        )
    if kind == "function_call_output":
        is_known = item.keys() <= _OUTPUT_KEYS and isinstance(item.get("call_id"), str)
        return is_known and isinstance(item.get("output"), str)
    if kind not in (None, "message") or "status" in item:
        return False
    content, role = item.get("content"), item.get("role")
    if role == "assistant":
        return isinstance(content, str) and "tool_calls" not in item
    is_text = isinstance(content, str) or _are_texts(content, "input_text")
    return is_text and role in ("user", "system", "developer")


def _is_name(value: object) -> bool:
    return isinstance(value, str) and bool(value)


USUAL: Final[Mapping[Api, Callable[[dict[str, Any]], bool]]] = {
    "chat": _is_usual_message,
    "messages": _has_usual_blocks,
    "responses": _is_usual_item,
}
"""Whether a turn is usual, by API."""

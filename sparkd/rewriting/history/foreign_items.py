"""Items of /v1/responses that engines do not know: calls of tools that another vendor's server ran, and the like.

A call becomes a function call, its output the result of it: that is what the model saw, and what templates render.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from sparkd.rewriting.decoding import (
    Fields,
    decode_array,
    decode_object,
    decode_string,
    encode_raw,
    is_null,
    read_type,
)
from sparkd.rewriting.history.contents import make_user_turn, render_text
from sparkd.rewriting.history.conversation import NewTurn, with_values

_DROPPED = frozenset(
    {
        "item_reference",
        "compaction",
        "compaction_summary",
        "compaction_trigger",
        "mcp_list_tools",
        "additional_tools",
    }
    | {"configuration_update", "mcp_approval_request", "mcp_approval_response", "ghost_snapshot"}
)
"""Items that say nothing without the server that made them."""

_CLIENT_CALLS = frozenset(
    {
        "custom_tool_call",
        "local_shell_call",
        "shell_call",
        "apply_patch_call",
        "computer_call",
        "tool_search_call",
    }
)
"""Calls whose output is an item of its own."""

_OUTPUT_SUFFIX = "_output"
_OUTPUT_FIELDS = ("output", "outputs", "results", "result", "error", "tools")
_OWN_FIELDS = frozenset({"type", "id", "call_id", "status", "caller", "namespace", *_OUTPUT_FIELDS})
_MAX_RESULT = 16 * 1024
"""Bytes of what a server returned to itself that are worth keeping; an image that was generated has more."""


def convert_foreign_item(index: int, kind: str | None, turn: Fields) -> Sequence[NewTurn]:
    """What replaces an item of another type than messages, reasoning and function calls."""
    if (kind is None and set(turn) <= {"id", "type"}) or kind in _DROPPED:
        return []
    call_id = decode_string(turn.get("call_id")) or decode_string(turn.get("id")) or f"call_{index}"
    if kind is not None and kind.endswith(_OUTPUT_SUFFIX):
        return [_make_output(call_id, turn)]
    if kind in _CLIENT_CALLS:
        return [_make_call(call_id, kind, turn)]
    if kind is not None and kind.endswith("_call"):
        return [_make_call(call_id, kind, turn), _make_output(call_id, turn, limit=_MAX_RESULT)]
    text = bytes(encode_raw(turn)).decode("utf-8", "replace")
    return [make_user_turn(text, "responses")]


def _make_call(call_id: str, kind: str, turn: Fields) -> Fields:
    name = decode_string(turn.get("name")) or kind.removesuffix("_call")
    return with_values(
        {},
        {"type": "function_call", "call_id": call_id, "name": name, "arguments": _read_arguments(kind, turn)},
    )


def _read_arguments(kind: str, turn: Fields) -> str:
    if kind == "custom_tool_call":
        arguments = encode_raw({"input": render_text(turn.get("input"))})
    elif not is_null(turn.get("arguments")):
        return render_text(turn.get("arguments"))
    else:
        action = decode_object(turn.get("action")) or decode_object(turn.get("operation"))
        arguments = encode_raw(
            action
            or {key: value for key, value in turn.items() if key not in _OWN_FIELDS and not is_null(value)}
        )
    return bytes(arguments).decode("utf-8", "replace")


def _make_output(call_id: str, turn: Fields, limit: int | None = None) -> Fields:
    values = [turn[name] for name in _OUTPUT_FIELDS if not is_null(turn.get(name))]
    item = with_values({}, {"type": "function_call_output", "call_id": call_id})
    if len(values) == 1 and _is_parts(values[0]):
        return {**item, "output": values[0]}
    texts = [
        render_text(value) if limit is None or len(memoryview(value)) <= limit else "(too long, left out)"
        for value in values
    ]
    status = decode_string(turn.get("status")) or "completed"
    return {**item, "output": encode_raw("\n".join(filter(None, texts)) or f"({status})")}


def _is_parts(value: msgspec.Raw) -> bool:
    """Whether an output consists of parts as those of a function call do."""
    parts = decode_array(value)
    if parts is None:
        return False
    kinds = [read_type(part) for part in parts]
    return bool(parts) and all(kind is not None and kind.startswith("input_") for kind in kinds)

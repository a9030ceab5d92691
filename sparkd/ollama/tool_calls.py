"""Tool calls: engines stream them in pieces, and Ollama's clients want each one whole, with an object as arguments."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from sparkd.ollama.documents import ToolCall


class _Call(Struct):
    id: str = ""
    name: str = ""
    arguments: str = ""


class ToolCallCollector:
    """Collects the pieces of the tool calls of one response."""

    def __init__(self) -> None:
        self._calls: dict[int, _Call] = {}

    def add(self, pieces: list[dict[str, Any]]) -> None:
        """Take the `tool_calls` of a message, or of a piece of one."""
        for position, piece in enumerate(pieces):
            index = piece.get("index")
            call = self._calls.setdefault(index if isinstance(index, int) else position, _Call())
            function = piece.get("function") or {}
            call.id = call.id or piece.get("id") or ""
            call.name = call.name or function.get("name") or ""
            call.arguments += function.get("arguments") or ""

    def take(self) -> tuple[list[ToolCall], str]:
        """The complete calls, and the text of those that were cut off: a tool must not run with half its arguments."""
        complete, rest = [], ""
        for number, call in enumerate(self._calls.values()):
            arguments = _parse_arguments(call.arguments)
            if arguments is None or not call.name:
                rest += call.name + call.arguments
                continue
            function = {"index": number, "name": call.name, "arguments": arguments}
            complete.append({"id": call.id or f"call_{number}", "function": function})
        self._calls.clear()
        return complete, rest


def _parse_arguments(text: str) -> dict[str, Any] | None:
    if not text.strip():
        return {}
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError):
        return None

"""The requests of every library. Imported by programs in other virtualenvs."""

from __future__ import annotations

from typing import Any, Final

TEXT: Final = "Say hello"
"""The prompt that the model answers with text."""

TOOL: Final = "Read the note"
"""The prompt at which the model calls `read_note`."""

NAME: Final = "read_note"
DESCRIPTION: Final = "Reads a note."
PARAMETERS: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {"path": {"type": "string"}},
    "required": ["path"],
}
FUNCTION: Final[dict[str, Any]] = {"name": NAME, "description": DESCRIPTION, "parameters": PARAMETERS}
CHAT_TOOLS: Final[list[Any]] = [{"type": "function", "function": FUNCTION}]
BLOCK_TOOLS: Final[list[Any]] = [{"name": NAME, "description": DESCRIPTION, "input_schema": PARAMETERS}]
ITEM_TOOLS: Final[list[Any]] = [{"type": "function", **FUNCTION}]

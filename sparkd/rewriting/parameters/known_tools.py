"""Tools that a client runs, but whose schema only another vendor's models know: their published schemas.

Anthropic's clients declare them by type and version alone, such as `bash_20250124`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class KnownTool(NamedTuple):
    """A tool's description, its parameters and the required ones."""

    description: str
    properties: Mapping[str, Any]
    required: tuple[str, ...]

    @property
    def schema(self) -> dict[str, Any]:
        """The JSON schema of its input."""
        return {"type": "object", "properties": dict(self.properties), "required": list(self.required)}


_TEXT = {"type": "string"}
_RANGE = {
    "type": "array",
    "items": {"type": "integer"},
    "description": "First and last line; -1: to the end.",
}


def _one_of(*names: str) -> dict[str, Any]:
    return {"type": "string", "enum": list(names)}


KNOWN_TOOLS: Mapping[str, KnownTool] = {
    "bash": KnownTool(
        "Run a command in a persistent bash session. Set restart to true to start the session again.",
        {"command": _TEXT, "restart": {"type": "boolean"}},
        (),
    ),
    "text_editor": KnownTool(
        "View, create and edit text files. str_replace replaces old_str, which must occur exactly once, by new_str; "
        "insert puts insert_text after the line insert_line.",
        {
            "command": _one_of("view", "create", "str_replace", "insert"),
            "path": _TEXT,
            "file_text": _TEXT,
            "old_str": _TEXT,
            "new_str": _TEXT,
            "insert_line": {"type": "integer"},
            "insert_text": _TEXT,
            "view_range": _RANGE,
        },
        ("command", "path"),
    ),
    "memory": KnownTool(
        "Keep notes across conversations in files under /memories.",
        {
            "command": _one_of("view", "create", "str_replace", "insert", "delete", "rename"),
            "path": _TEXT,
            "file_text": _TEXT,
            "old_str": _TEXT,
            "new_str": _TEXT,
            "insert_line": {"type": "integer"},
            "insert_text": _TEXT,
            "view_range": _RANGE,
            "old_path": _TEXT,
            "new_path": _TEXT,
        },
        ("command",),
    ),
}
"""By the type without its version, as in the newest version."""


_FIRST_EDITOR = KnownTool(
    "View, create and edit text files. str_replace replaces old_str, which must occur exactly once, by new_str; "
    "insert puts new_str after the line insert_line; undo_edit undoes the last edit of a file.",
    {
        "command": _one_of("view", "create", "str_replace", "insert", "undo_edit"),
        "path": _TEXT,
        "file_text": _TEXT,
        "old_str": _TEXT,
        "new_str": _TEXT,
        "insert_line": {"type": "integer"},
        "view_range": _RANGE,
    },
    ("command", "path"),
)
"""text_editor_20241022 and text_editor_20250124. Later versions have `insert_text`, and cannot undo."""

_LAST_OF_FIRST = "20250124"


def find_known_tool(kind: str) -> KnownTool | None:
    """The tool of a type such as `bash_20250124`; None if it is not among them."""
    name, _, version = kind.rpartition("_")
    if not version.isdigit():
        return None
    if name == "text_editor" and version <= _LAST_OF_FIRST:
        return _FIRST_EDITOR
    return KNOWN_TOOLS.get(name)

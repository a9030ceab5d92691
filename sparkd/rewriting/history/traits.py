"""The traits of a conversation: what decides which rules it needs.

They are found in one pass over its decoded turns: every key of a turn or of a part, and the values of `role` and
`type`; beside these, the traits below. A rule whose traits a conversation lacks changes nothing in it.
"""

from __future__ import annotations

from typing import Any, Final

from sparkd.rewriting.history.usual_turns import USUAL
from sparkd.rewriting.rewrite_context import Api

UNUSUAL: Final = "(unusual)"
"""A turn is not of one of the shapes that all engines accept (sparkd.rewriting.history.usual_turns)."""

NO_USER: Final = "(no user)"
"""No turn is the user's."""

LATER_SYSTEM: Final = "(later system)"
"""A system message is not the first turn of a chat. In the other APIs, any."""

MAYBE_EMPTY: Final = "(maybe empty)"
"""A turn of the model seems to say nothing."""

NULL_CONTENT: Final = "(null content)"
"""The content of a turn is null."""

NOT_A_LIST: Final = "(not a list)"
"""The conversation is an object."""

_SYSTEM_ROLES = ("system", "developer")
_NAME_KEYS = ("type", "role")
_CONTAINERS = (list, dict)
_CONTENT_KEYS = ("content", "output", "source")
_TEXT_TYPES = ("text", "output_text")
_MAX_DEPTH = 8
"""Levels that rules search for media."""


def list_traits(api: Api, turns: list[Any]) -> frozenset[str]:
    """The traits of a conversation."""
    found: set[str] = set()
    is_usual = USUAL.get(api)
    has_user = False
    for index, turn in enumerate(turns):
        _add_names(turn, found, _MAX_DEPTH)
        if not isinstance(turn, dict):
            found.add(UNUSUAL)
            continue
        if is_usual is not None and UNUSUAL not in found and not is_usual(turn):
            found.add(UNUSUAL)
        role = turn.get("role")
        if role == "user":
            has_user = True
        elif role == "assistant":
            if not (_says_something(turn) or (turn.get("tool_calls") and api != "messages")):
                found.add(MAYBE_EMPTY)
        elif role in _SYSTEM_ROLES and (index or api != "chat"):
            found.add(LATER_SYSTEM)
        if "content" in turn and turn["content"] is None:
            found.add(NULL_CONTENT)
    if not has_user:
        found.add(NO_USER)
    return frozenset(found)


def _add_names(value: Any, found: set[str], depth: int) -> None:
    """Add the keys and types of an object and of what it contains."""
    if isinstance(value, dict):
        found.update(value)
        for key in _NAME_KEYS:
            name = value.get(key)
            if isinstance(name, str):
                found.add(name)
        for key in _CONTENT_KEYS:
            inner = value.get(key)
            if depth and isinstance(inner, _CONTAINERS):
                _add_names(inner, found, depth - 1)
    elif isinstance(value, list) and depth:
        for item in value:
            _add_names(item, found, depth - 1)


def _says_something(turn: dict[str, Any]) -> bool:
    """Whether a turn of the model certainly says something."""
    content = turn.get("content")
    if isinstance(content, list) and content and isinstance(content[0], dict):
        if content[0].get("type") == "tool_use":
            return True
        content = content[0].get("text") if content[0].get("type") in _TEXT_TYPES else None
    return isinstance(content, str) and bool(content) and not content.isspace()

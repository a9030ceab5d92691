"""Reads the text of a client's file, and edits it so that comments and layout stay.

Each format has `parse_text`, `edit_text` and `render_text`. All raise InvalidText.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from sparkd.clients.configuration import Format
from sparkd.clients.formats.invalid import InvalidText
from sparkd.clients.formats.values import is_same

__all__ = ["InvalidText", "edit_text", "parse_text", "render_text"]

BOM = "\ufeff"


def parse_text(format_name: Format, text: str) -> Any:
    """The content as plain data; None if the text has none. Raises InvalidText with the line of the mistake."""
    return _module(format_name).parse_text(text.removeprefix(BOM))


def edit_text(format_name: Format, text: str, content: Any) -> str:
    """The text with `content` in place of what it has. It keeps comments, its order, its line ends and a BOM.

    Raises InvalidText if the text has something that cannot be edited without a loss.
    """
    plain = text.removeprefix(BOM)
    has_bom = plain != text
    module = _module(format_name)
    is_windows = "\r\n" in plain
    lines = plain.replace("\r\n", "\n") if is_windows else plain
    edited: str = module.edit_text(lines, content) if lines.strip() else module.render_text(content)
    if not is_same(module.parse_text(edited), content):
        raise InvalidText("it has a construct that sparkctl cannot edit")
    return (BOM if has_bom else "") + (edited.replace("\n", "\r\n") if is_windows else edited)


def render_text(format_name: Format, content: Any) -> str:
    """The text of a new file."""
    rendered: str = _module(format_name).render_text(content)
    return rendered


def _module(format_name: Format) -> Any:
    # Only the format that is needed is imported: the libraries for TOML and YAML take a tenth of a second.
    return import_module(f"sparkd.clients.formats.{format_name}_text")

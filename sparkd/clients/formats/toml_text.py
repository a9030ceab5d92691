"""TOML, by tomlkit, which keeps comments and layout."""

from __future__ import annotations

import re
from typing import Any

import tomlkit
from tomlkit.exceptions import ParseError, TOMLKitError

from sparkd.clients.formats.containers import change_table
from sparkd.clients.formats.invalid import InvalidText


def parse_text(text: str) -> Any:
    """The content as plain data; None if there is none. Raises InvalidText."""
    content = _parse(text).unwrap()
    return content or None


def edit_text(text: str, content: Any) -> str:
    """Raises InvalidText."""
    document = _parse(text)
    try:
        change_table(document, document.unwrap(), content)
        return tomlkit.dumps(document)
    except (TOMLKitError, ValueError) as error:
        raise InvalidText(str(error)) from error


def render_text(content: Any) -> str:
    """The text of a new file."""
    return tomlkit.dumps(content)


def _parse(text: str) -> tomlkit.TOMLDocument:
    try:
        return tomlkit.parse(text)
    except ParseError as error:
        reason = re.sub(r" at line \d+ col \d+$", "", str(error))
        raise InvalidText(f"invalid TOML: {reason}", error.line) from error
    except (TOMLKitError, RecursionError) as error:
        raise InvalidText(f"invalid TOML: {error}") from error

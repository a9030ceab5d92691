"""YAML, by ruamel.yaml, which keeps comments and most of the layout."""

from __future__ import annotations

import io
import re
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from sparkd.clients.formats.containers import change_table
from sparkd.clients.formats.invalid import InvalidText

_indented_list = re.compile(r"^( *)[^\s#-][^\n]*:[ \t]*\n(?:[ \t]*(?:#[^\n]*)?\n)*( *)- ", re.MULTILINE)


def parse_text(text: str) -> Any:
    """The content as plain data; None if there is none. Raises InvalidText."""
    return _load(YAML(typ="safe", pure=True), text)


def edit_text(text: str, content: Any) -> str:
    """Raises InvalidText."""
    yaml = _create(text)
    document = _load(yaml, text)
    if document is None:  # only comments
        return f"{text.rstrip()}\n{render_text(content)}"
    change_table(document, parse_text(text), content)
    return _dump(yaml, document)


def render_text(content: Any) -> str:
    """The text of a new file."""
    return _dump(_create(""), content)


def _create(text: str) -> YAML:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 10_000
    found = _indented_list.search(text)
    is_indented = found is None or len(found[2]) > len(found[1])
    yaml.indent(mapping=2, sequence=4 if is_indented else 2, offset=2 if is_indented else 0)
    return yaml


def _load(yaml: YAML, text: str) -> Any:
    try:
        return yaml.load(text)
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark is not None else None
        raise InvalidText(f"invalid YAML: {error.problem}", line) from error
    except (YAMLError, RecursionError, ValueError) as error:
        raise InvalidText(f"invalid YAML: {error}") from error


def _dump(yaml: YAML, content: Any) -> str:
    stream = io.StringIO()
    yaml.dump(content, stream)
    return stream.getvalue()

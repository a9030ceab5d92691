"""Hides tokens and passwords in what people are shown: environments, command lines, files of the catalogue."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from sparkd.catalog.secrets import MASK, is_secret, is_secret_flag, mask_url
from sparkd.editing.toml_places import Span, find_values

NOT_SHOWN: Final = "# This file is not valid TOML, so it is not shown here: it may have secrets in it.\n"

_comment = re.compile(r"(#[^\n]*?(?:token(?!s|iz)|secret|passw|key)[\w\"'-]*\s*[=:]\s*)[^\n]+", re.IGNORECASE)


def mask_variables(variables: Mapping[str, str]) -> dict[str, str]:
    """An environment without its secrets."""
    return {name: MASK if is_secret(name) else mask_url(value) for name, value in variables.items()}


def mask_text(text: str) -> str:
    """A file of the catalogue without its secrets, and without environments and comments that may have some."""
    text = text.replace("\r\n", "\n")
    try:
        tomllib.loads(text.removeprefix("\ufeff"))
    except (ValueError, RecursionError):
        return NOT_SHOWN  # then it is unclear what a value is
    parts, at = [], 0
    for span, replacement in _find_secrets(text, find_values(text)):
        parts += [text[at : span.start], replacement]
        at = span.end
    shown = "".join([*parts, text[at:]])
    return _comment.sub(rf"\1{MASK}", mask_url(shown))


def _find_secrets(text: str, spans: Sequence[Span]) -> Iterator[tuple[Span, str]]:
    previous = Span((), 0, 0)
    for span in spans:
        value = text[span.start : span.end].strip("\"'")
        is_next = span.key[:-1] == previous.key[:-1] and span.key[-1].isdecimal()
        flag = text[previous.start : previous.end].strip("\"'")
        named = [part for part in span.key if not part.isdecimal()]
        follows_flag = is_next and is_secret_flag(flag) and not value.startswith("-")
        is_named = any(is_secret(part) for part in named[2:] or named[-1:])
        if is_named or follows_flag or "environment" in named[:-1]:
            yield span, f'"{MASK}"'
        elif value.startswith("-") and "=" in value and is_secret(value.partition("=")[0]):
            yield span, f'"{value.partition("=")[0]}={MASK}"'
        previous = span

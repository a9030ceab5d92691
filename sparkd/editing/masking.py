"""Hides tokens and passwords in what people are shown: environments, command lines, files of the catalogue."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from sparkd.editing.toml_places import Span, find_values

MASK: Final = "•••"
NOT_SHOWN: Final = "# This file is not valid TOML, so it is not shown here: it may have secrets in it.\n"

_secret = re.compile(
    r"token(?!s|iz)|secret|passw|passphrase|credential|api[-_]?key|access[-_]?key|(?:^|[-_.])(?:key|auth)$",
    re.IGNORECASE,
)
_url = re.compile(r"(\b[a-z][a-z0-9+.-]*://)[^/@\s\"']+@", re.IGNORECASE)
_comment = re.compile(r"(#[^\n]*?(?:token(?!s|iz)|secret|passw|key)[\w\"'-]*\s*[=:]\s*)[^\n]+", re.IGNORECASE)


def is_secret(name: str) -> bool:
    """Whether a variable, a flag or a key of this name probably has a secret as its value."""
    return _secret.search(name) is not None and not name.lower().endswith(("_file", "-file"))


def mask_variables(variables: Mapping[str, str]) -> dict[str, str]:
    """An environment without its secrets."""
    return {name: MASK if is_secret(name) else _mask_url(value) for name, value in variables.items()}


def mask_arguments(arguments: Sequence[str]) -> list[str]:
    """A command line without its secrets: values of flags such as `--api-key`."""
    shown, previous = [], ""
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if _is_secret_flag(previous) and not argument.startswith("-"):
            shown.append(MASK)
        elif equals and is_secret(name) and value:
            shown.append(f"{name}={MASK}")
        else:
            shown.append(_mask_url(argument))
        previous = "" if equals else argument
    return shown


def mask_value(value: Any) -> Any:
    """A value of the catalogue without its secrets: passwords in URLs, values of flags in lists."""
    if isinstance(value, str):
        return _mask_url(value)
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return mask_arguments(value)
    return value


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
    return _comment.sub(rf"\1{MASK}", _url.sub(rf"\1{MASK}@", shown))


def _find_secrets(text: str, spans: Sequence[Span]) -> Iterator[tuple[Span, str]]:
    previous = Span((), 0, 0)
    for span in spans:
        value = text[span.start : span.end].strip("\"'")
        is_next = span.key[:-1] == previous.key[:-1] and span.key[-1].isdecimal()
        flag = text[previous.start : previous.end].strip("\"'")
        named = [part for part in span.key if not part.isdecimal()]
        follows_flag = is_next and _is_secret_flag(flag) and not value.startswith("-")
        is_named = any(is_secret(part) for part in named[2:] or named[-1:])
        if is_named or follows_flag or "environment" in named[:-1]:
            yield span, f'"{MASK}"'
        elif value.startswith("-") and "=" in value and is_secret(value.partition("=")[0]):
            yield span, f'"{value.partition("=")[0]}={MASK}"'
        previous = span


def _is_secret_flag(argument: str) -> bool:
    return argument.startswith("-") and "=" not in argument and is_secret(argument.lstrip("-"))


def _mask_url(value: str) -> str:
    return _url.sub(rf"\1{MASK}@", value)

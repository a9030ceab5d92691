"""Which keys, variables and flags of the catalogue have secrets as values, and their values without them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

MASK: Final = "•••"

_secret = re.compile(
    r"token(?!s|iz)|secret|passw|passphrase|credential|api[-_]?key|access[-_]?key|(?:^|[-_.])(?:key|auth)$",
    re.IGNORECASE,
)
_url = re.compile(r"(\b[a-z][a-z0-9+.-]*://)[^/@\s\"']+@", re.IGNORECASE)


def is_secret(name: str) -> bool:
    """Whether a variable, a flag or a key of this name probably has a secret as its value."""
    return _secret.search(name) is not None and not name.lower().endswith(("_file", "-file"))


def mask_arguments(arguments: Sequence[str]) -> list[str]:
    """A command line without its secrets: values of flags such as `--api-key`."""
    shown, previous = [], ""
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if is_secret_flag(previous) and not argument.startswith("-"):
            shown.append(MASK)
        elif equals and is_secret(name) and value:
            shown.append(f"{name}={MASK}")
        else:
            shown.append(mask_url(argument))
        previous = "" if equals else argument
    return shown


def mask_value(value: Any) -> Any:
    """A value of the catalogue without its secrets: passwords in URLs, values of flags in lists."""
    if isinstance(value, str):
        return mask_url(value)
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return mask_arguments(value)
    return value


def is_secret_flag(argument: str) -> bool:
    """Whether an argument is a flag that is followed by a secret."""
    return argument.startswith("-") and "=" not in argument and is_secret(argument.lstrip("-"))


def mask_url(value: str) -> str:
    """The text without the password of a URL in it."""
    return _url.sub(rf"\1{MASK}@", value)

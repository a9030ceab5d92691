"""Reads the fields of a decoded body. Each function raises InvalidRequest that names the field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sparkd.errors import InvalidRequest

Fields = Mapping[str, Any]


def read_text(fields: Fields, name: str, where: str = "") -> str:
    """A string, empty if it is missing."""
    value = fields.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _invalid(where + name, "a string")
    return value


def read_flag(fields: Fields, name: str) -> bool | None:
    """A boolean, None if it is missing."""
    value = fields.get(name)
    if value is not None and not isinstance(value, bool):
        raise _invalid(name, "true or false")
    return value


def read_list(fields: Fields, name: str, where: str = "") -> list[Any]:
    """A list, empty if it is missing."""
    value = fields.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise _invalid(where + name, "a list")
    return value


def read_object(fields: Fields, name: str, where: str = "") -> dict[str, Any]:
    """An object, empty if it is missing."""
    value = fields.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _invalid(where + name, "an object")
    return value


def read_images(fields: Fields, where: str = "") -> list[str]:
    """The texts of `images`."""
    images = read_list(fields, "images", where)
    if not all(isinstance(image, str) for image in images):
        raise _invalid(f"{where}images", "a list of strings in base64")
    return images


def _invalid(name: str, expected: str) -> InvalidRequest:
    return InvalidRequest(f"`{name}` must be {expected}.", param=name)

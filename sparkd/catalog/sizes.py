"""Sizes as people write them: "20 GiB", "512 MiB", "1.5 TB"."""

from __future__ import annotations

import re

UNITS = {
    "B": 1,
    "KiB": 1024,
    "MiB": 1024**2,
    "GiB": 1024**3,
    "TiB": 1024**4,
    "kB": 1000,
    "MB": 1000**2,
    "GB": 1000**3,
    "TB": 1000**4,
}
PATTERN = rf"^[0-9]{{1,15}}(\.[0-9]{{1,6}})? ?({'|'.join(UNITS)})$"
"""The pattern of a size, also for the JSON Schema. "20G" is not a size: some programs mean 10^9 and some 2^30."""

_size = re.compile(PATTERN[:-1] + r"\Z")


def parse_size(text: str) -> int:
    """The bytes of a size such as "20 GiB", rounded to an integer. Raises ValueError if it is not a size."""
    found = _size.match(text)
    if found is None:
        message = f"{text!r} is not a size"
        raise ValueError(message)
    unit = found.group(2)
    return round(float(text.removesuffix(unit)) * UNITS[unit])


def likely_size(text: str) -> str | None:
    """The size that "20G" or "20 gib" probably means, None if no size is similar."""
    found = re.fullmatch(r"\s*([0-9]{1,15}(?:\.[0-9]{1,6})?)\s*([kmgt])(?:i?b)?\s*", text, re.IGNORECASE)
    return f"{found[1]} {found[2].upper()}iB" if found else None


def format_size(size: int) -> str:
    """A size in bytes for people, in the largest binary unit that fits, with one decimal: "1.5 GiB"."""
    unit = next((unit for unit in ("TiB", "GiB", "MiB", "KiB") if size >= UNITS[unit]), "B")
    return f"{size / UNITS[unit]:.1f}".removesuffix(".0") + f" {unit}"

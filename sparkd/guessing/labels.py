"""Guesses the labels of a model for people: description, size and tags."""

from __future__ import annotations

import re
from typing import Final

from sparkd.catalog.labels import Tag
from sparkd.catalog.quantities import GIB
from sparkd.guessing.facts import Facts
from sparkd.guessing.guess import GuessedEntry
from sparkd.guessing.kind import Kind

LONG: Final = 131072
"""Tokens."""

SMALL: Final = 4 * GIB
"""Bytes of weights."""

NAME_TAGS: Final[tuple[tuple[str, Tag], ...]] = (
    (r"cod(?:er|e|ing)\b|devstral|codestral|starcoder", "code"),
    (r"math", "math"),
    (r"ocr", "ocr"),
    (r"abliterated|uncensored|derestricted", "uncensored"),
)
"""Tags by the names of models."""

_size = re.compile(r"(?<![a-z0-9.])(\d{1,4}(?:\.\d{1,2})?)([bm])(?![a-z0-9])", re.IGNORECASE)
_active = re.compile(r"(?<![a-z0-9])a(\d{1,3}(?:\.\d{1,2})?b)(?![a-z0-9])", re.IGNORECASE)


def guess_labels(entry: GuessedEntry, facts: Facts, kind: Kind) -> None:
    """Guess `description`, `parameters` and `tags`."""
    described = "" if kind == "chat" else f": {'an' if kind == 'embedding' else 'a'} {kind} model"
    entry.add("description", f"{facts.name}{described}", "its name")
    if (size := parse_parameters(facts.name)) is not None:
        entry.add("parameters", size, "its name")
    if tags := _tags(entry, facts, kind):
        entry.add("tags", tags, "its name and the guesses above")


def parse_parameters(name: str) -> str | None:
    """ "30B, 3B active" for a name such as Qwen3-30B-A3B, None if the name has no size."""
    found = _size.search(name)
    if found is None:
        return None
    active = _active.search(name)
    return f"{found[1]}{found[2].upper()}" + (f", {active[1].upper()} active" if active else "")


def _tags(entry: GuessedEntry, facts: Facts, kind: Kind) -> list[Tag]:
    if kind != "chat":
        return ["embeddings"] if kind == "embedding" else []
    tags: list[Tag] = [tag for pattern, tag in NAME_TAGS if re.search(pattern, facts.name, re.IGNORECASE)]
    if facts.template is not None:
        tags.insert(0, "chat")
    found: tuple[tuple[bool, Tag], ...] = (
        (entry.value("options.tool-call-parser") is not None, "tools"),
        (entry.value("options.reasoning-parser") is not None, "reasoning"),
        (entry.value("vision") is True, "vision"),
        ((entry.value("context_length") or 0) >= LONG, "long-context"),
        (facts.weights.bytes is not None and facts.weights.bytes < SMALL, "small"),
    )
    return [*tags, *(tag for holds, tag in found if holds)]

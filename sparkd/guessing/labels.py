"""What people are told about a model: a line of description, its size, what it is good for."""

from __future__ import annotations

import re
from typing import Final

from sparkd.catalog.labels import Tag
from sparkd.catalog.quantities import GIB
from sparkd.guessing.facts import Facts
from sparkd.guessing.guess import Guessed
from sparkd.guessing.kind import Kind

LONG: Final = 131072
"""Tokens."""

SMALL: Final = 4 * GIB
"""Bytes of weights."""

NAMED: Final[tuple[tuple[str, Tag], ...]] = (
    (r"cod(?:er|e|ing)\b|devstral|codestral|starcoder", "code"),
    (r"math", "math"),
    (r"ocr", "ocr"),
    (r"abliterated|uncensored|derestricted", "uncensored"),
)
"""What names of models give away."""

_size = re.compile(r"(?<![a-z0-9.])(\d{1,4}(?:\.\d{1,2})?)([bm])(?![a-z0-9])", re.IGNORECASE)
_active = re.compile(r"(?<![a-z0-9])a(\d{1,3}(?:\.\d{1,2})?b)(?![a-z0-9])", re.IGNORECASE)


def guess_labels(guessed: Guessed, facts: Facts, kind: Kind) -> None:
    """Guess `description`, `parameters` and `tags`."""
    described = "" if kind == "chat" else f": {'an' if kind == 'embedding' else 'a'} {kind} model"
    guessed.add("description", f"{facts.name}{described}", "its name")
    if (size := parameters_of(facts.name)) is not None:
        guessed.add("parameters", size, "its name")
    if tags := _tags(guessed, facts, kind):
        guessed.add("tags", tags, "its name and the guesses above")


def parameters_of(name: str) -> str | None:
    """ "30B, 3B active" of a name such as Qwen3-30B-A3B, None where the name does not say it."""
    found = _size.search(name)
    if found is None:
        return None
    active = _active.search(name)
    return f"{found[1]}{found[2].upper()}" + (f", {active[1].upper()} active" if active else "")


def _tags(guessed: Guessed, facts: Facts, kind: Kind) -> list[Tag]:
    if kind != "chat":
        return ["embeddings"] if kind == "embedding" else []
    tags: list[Tag] = [tag for pattern, tag in NAMED if re.search(pattern, facts.name, re.IGNORECASE)]
    if facts.template is not None:
        tags.insert(0, "chat")
    found: tuple[tuple[bool, Tag], ...] = (
        (guessed.value("options.tool-call-parser") is not None, "tools"),
        (guessed.value("options.reasoning-parser") is not None, "reasoning"),
        (guessed.value("vision") is True, "vision"),
        ((guessed.value("context_length") or 0) >= LONG, "long-context"),
        (facts.weights.bytes is not None and facts.weights.bytes < SMALL, "small"),
    )
    return [*tags, *(tag for holds, tag in found if holds)]

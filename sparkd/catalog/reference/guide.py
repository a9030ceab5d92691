"""The chooser in docs/models.md, from the shipped catalogue: `python -m sparkd.catalog.reference.guide` writes it anew.

What stands above MARK in that file is written by hand and left alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from sparkd.catalog.choosing import best
from sparkd.catalog.definitions import Model
from sparkd.catalog.labels import Status, Tag
from sparkd.catalog.reading import read_catalogue
from sparkd.catalog.sizes import size_text

HOUSE = Path(__file__).parents[3]
FILE = HOUSE / "docs" / "models.md"
CATALOGUE = HOUSE / "models.toml"
MARK = "<!-- From here on generated: python -m sparkd.catalog.reference.guide -->\n"

TASKS: Final[Mapping[Tag, str]] = MappingProxyType(
    {
        "chat": "talk, summaries, mail",
        "quality": "the best answers, slower",
        "fast": "quick answers",
        "code": "code",
        "tools": "tools, agents",
        "long-context": "long prompts",
        "reasoning": "hard questions, planning",
        "math": "mathematics",
        "writing": "creative and long writing",
        "languages": "translation, Europe's languages",
        "vision": "images",
        "ocr": "scans, dense documents",
        "audio": "sound",
        "embeddings": "embeddings, search",
        "small": "titles, labels, small jobs",
        "roleplay": "characters, stories",
        "uncensored": "fewer refusals",
    }
)
"""What each tag is good for, in words, in the order of the chooser."""

SERVED: Final[Mapping[Status, str]] = MappingProxyType(
    {
        "validated": "Validated",
        "experimental": "Experimental",
        "manual": "By hand: served when named, left out of clients' configurations",
    }
)
"""Statuses of models that are served, the most dependable first, and their headings."""

ALTERNATIVES: Final = 4
"""Most models that a task names besides the first."""


def guide(models: Iterable[Model]) -> str:
    """The chooser and the tables of models, in Markdown."""
    known = list(models)
    lines = ["", *_tasks(known)]
    for status, heading in SERVED.items():
        if some := [model for model in known if model.status == status]:
            lines += ["", f"## {heading}", "", *_served(some)]
    return "\n".join([*lines, "", "## Disabled", "", *_disabled(known), ""])


def _tasks(models: list[Model]) -> Iterator[str]:
    yield from (
        "## What to use for what",
        "",
        "| for | take | context | memory | or |",
        "|---|---|---|---|---|",
    )
    for tag, words in TASKS.items():
        if not (good := best(models, tag)):
            yield _row(words, "none yet", "", "", "")
            continue
        first, others = good[0], good[1 : 1 + ALTERNATIVES]
        also = ", ".join(f"`{model.id}`" for model in others)
        yield _row(words, f"`{first.id}`", _context(first), _memory(first), also)


def _served(models: list[Model]) -> Iterator[str]:
    yield "| model | what it is | size | context | memory | what is known |"
    yield "|---|---|---|---|---|---|"
    for model in models:
        known = model.reason + (f". Instead: {model.instead}" if model.instead else "")
        yield _row(_names(model), _what(model), model.parameters, _context(model), _memory(model), known)


def _disabled(models: list[Model]) -> Iterator[str]:
    yield from ("| model | what it would be | why not | instead |", "|---|---|---|---|")
    for model in models:
        if not model.enabled:
            yield _row(_names(model), _what(model), model.reason, model.instead)


def _names(model: Model) -> str:
    """The id, then other names a client may use."""
    others = (*model.aliases, *model.rewriting.presets)
    return f"`{model.id}`" + (f" ({', '.join(f'`{name}`' for name in others)})" if others else "")


def _what(model: Model) -> str:
    return model.description + ("; takes images" if model.vision and "vision" not in model.tags else "")


def _context(model: Model) -> str:
    return f"{model.context_length:,}" if model.context_length else ""


def _memory(model: Model) -> str:
    size = size_text(model.memory) if model.memory else ""
    beside = {"normal": "", "utility": ", beside the main model", "exclusive": ", alone"}
    return f"{size}{beside[model.lifecycle]}"


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def written() -> str:
    """docs/models.md as it has to be: its own words, then what today's catalogue says.

    Raises CatalogueError.
    """
    by_hand, mark, _ = FILE.read_text().partition(MARK)
    return by_hand + mark + guide(read_catalogue(CATALOGUE).models.values())


if __name__ == "__main__":
    FILE.write_text(written())

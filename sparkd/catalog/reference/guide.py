"""The tables in docs/models.md, from the shipped catalogue: `python -m sparkd.catalog.reference.guide` rewrites them.

The text above MARK and below END in that file is written by hand and left unchanged.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from sparkd.catalog.choosing import best
from sparkd.catalog.definitions import Model
from sparkd.catalog.generated import replace_generated
from sparkd.catalog.labels import Status, Tag
from sparkd.catalog.reading import read_catalogue
from sparkd.catalog.sizes import size_text

HOUSE = Path(__file__).parents[3]
FILE = HOUSE / "docs" / "models.md"
CATALOGUE = HOUSE / "models.toml"
MARK = "<!-- From here on generated: python -m sparkd.catalog.reference.guide -->\n"

TASKS: Final[Mapping[Tag, str]] = MappingProxyType(
    {
        "chat": "chat, summaries, mail",
        "quality": "the best quality, slower",
        "fast": "fast responses",
        "code": "code",
        "tools": "tools, agents",
        "long-context": "long prompts",
        "reasoning": "hard questions, planning",
        "math": "mathematics",
        "writing": "creative and long writing",
        "languages": "translation, Europe's languages",
        "vision": "images",
        "ocr": "scans, dense documents",
        "audio": "audio",
        "embeddings": "embeddings, search",
        "small": "titles, labels, small jobs",
        "roleplay": "characters, stories",
        "uncensored": "fewer refusals",
    }
)
"""The task that each tag stands for, in the order of the table."""

SERVED: Final[Mapping[Status, str]] = MappingProxyType(
    {
        "validated": "Validated",
        "experimental": "Experimental",
        "manual": "Manual: served when a request names them, left out of client configurations",
    }
)
"""Statuses of models that are served, the most reliable first, and their headings."""

ALTERNATIVES: Final = 4
"""How many alternatives a task lists at most."""


def guide(models: Iterable[Model]) -> str:
    """The table of tasks and the tables of models, in Markdown."""
    known = list(models)
    lines = ["", *_tasks(known)]
    for status, heading in SERVED.items():
        if some := [model for model in known if model.status == status]:
            lines += ["", f"## {heading}", "", *_served(some)]
    return "\n".join([*lines, "", "## Disabled", "", *_disabled(known), ""])


def _tasks(models: list[Model]) -> Iterator[str]:
    yield from (
        "## Choose by task",
        "",
        "| task | model | context | memory | alternatives |",
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
    yield "| model | description | size | context | memory | notes |"
    yield "|---|---|---|---|---|---|"
    for model in models:
        known = model.reason + (f". Instead: {model.instead}" if model.instead else "")
        yield _row(_names(model), _what(model), model.parameters, _context(model), _memory(model), known)


def _disabled(models: list[Model]) -> Iterator[str]:
    yield from ("| model | description | why it is disabled | use instead |", "|---|---|---|---|")
    for model in models:
        if not model.enabled:
            yield _row(_names(model), _what(model), model.reason, model.instead)


def _names(model: Model) -> str:
    """The id, then the other names that a client may use."""
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
    """docs/models.md with the tables of the current catalogue. Raises CatalogueError."""
    return replace_generated(FILE.read_text(), MARK, guide(read_catalogue(CATALOGUE).models.values()))


if __name__ == "__main__":
    FILE.write_text(written())

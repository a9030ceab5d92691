"""The tables in docs/models.md, from the shipped catalogue: `python -m sparkd.catalog.reference.guide` rewrites them.

The text above MARK and below END in that file is written by hand and left unchanged.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from sparkd.catalog.definitions import Model
from sparkd.catalog.generated import replace_generated
from sparkd.catalog.labels import Status, Tag
from sparkd.catalog.ranking import rank_models
from sparkd.catalog.reading import read_catalogue
from sparkd.catalog.sizes import format_size

ROOT = Path(__file__).parents[3]
FILE = ROOT / "docs" / "models.md"
CATALOGUE = ROOT / "models.toml"
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

STATUS_HEADINGS: Final[Mapping[Status, str]] = MappingProxyType(
    {
        "validated": "Validated",
        "experimental": "Experimental",
        "manual": "Manual: served when a request names them, left out of client configurations",
    }
)
"""Statuses of models that are served, the most reliable first, and their headings."""

ALTERNATIVES: Final = 4
"""How many alternatives a task lists at most."""


def render_guide(models: Iterable[Model]) -> str:
    """The table of tasks and the tables of models, in Markdown."""
    known = list(models)
    lines = ["", *_render_tasks(known)]
    for status, heading in STATUS_HEADINGS.items():
        if some := [model for model in known if model.status == status]:
            lines += ["", f"## {heading}", "", *_render_served(some)]
    return "\n".join([*lines, "", "## Disabled", "", *_render_disabled(known), ""])


def _render_tasks(models: list[Model]) -> Iterator[str]:
    yield from (
        "## Choose by task",
        "",
        "| task | model | context | memory | alternatives |",
        "|---|---|---|---|---|",
    )
    for tag, words in TASKS.items():
        if not (best_models := rank_models(models, tag)):
            yield _format_row(words, "none yet", "", "", "")
            continue
        first, others = best_models[0], best_models[1 : 1 + ALTERNATIVES]
        also = ", ".join(f"`{model.id}`" for model in others)
        yield _format_row(words, f"`{first.id}`", _format_context(first), _format_memory(first), also)


def _render_served(models: list[Model]) -> Iterator[str]:
    yield "| model | description | size | context | memory | notes |"
    yield "|---|---|---|---|---|---|"
    for model in models:
        known = model.reason + (f". Instead: {model.instead}" if model.instead else "")
        yield _format_row(
            _format_names(model),
            _describe_model(model),
            model.parameters,
            _format_context(model),
            _format_memory(model),
            known,
        )


def _render_disabled(models: list[Model]) -> Iterator[str]:
    yield from ("| model | description | why it is disabled | use instead |", "|---|---|---|---|")
    for model in models:
        if not model.enabled:
            yield _format_row(_format_names(model), _describe_model(model), model.reason, model.instead)


def _format_names(model: Model) -> str:
    """The id, then the other names that a client may use."""
    others = (*model.aliases, *model.rewriting.presets)
    return f"`{model.id}`" + (f" ({', '.join(f'`{name}`' for name in others)})" if others else "")


def _describe_model(model: Model) -> str:
    return model.description + ("; takes images" if model.vision and "vision" not in model.tags else "")


def _format_context(model: Model) -> str:
    return f"{model.context_length:,}" if model.context_length else ""


def _format_memory(model: Model) -> str:
    size = format_size(model.memory) if model.memory else ""
    beside = {"normal": "", "utility": ", beside the main model", "exclusive": ", alone"}
    return f"{size}{beside[model.lifecycle]}"


def _format_row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def render_page() -> str:
    """docs/models.md with the tables of the current catalogue. Raises CatalogueError."""
    return replace_generated(FILE.read_text(), MARK, render_guide(read_catalogue(CATALOGUE).models.values()))


if __name__ == "__main__":
    FILE.write_text(render_page())

"""What the documents promise is there: files, headings, commands and their options, keys of the catalogue."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from sparkd.catalog.definitions import Model
from sparkd.catalog.reading.conversion import keys_of
from sparkd.catalog.reading.tables import SETTINGS
from sparkd.catalog.rewriting import Rewriting
from sparkd.cli.completion.command import list_command_nodes

CLONE = Path(__file__).resolve().parent.parent
DOCUMENTS = [CLONE / "README.md", CLONE / "CHANGELOG.md", *sorted((CLONE / "docs").glob("*.md"))]

_link = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)")
_command = re.compile(r"(?:`|^|\$ )(?:sudo )?sparkctl ((?:runtime )?[a-z]+)([^`\n]*)", re.MULTILINE)


def anchors(document: Path) -> Iterator[str]:
    """The names that GitHub gives to headings."""
    for heading in re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE):
        yield re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_somewhere(document: Path) -> None:
    for name, anchor in _link.findall(document.read_text()):
        target = (document.parent / name).resolve() if name else document
        assert target.exists(), name
        assert not anchor or anchor in anchors(target), f"{name}#{anchor}"


def test_every_command_that_is_named_is_there_with_the_options_it_is_named_with() -> None:
    known = {
        node.path: {name for option in node.options for name in option.names} for node in list_command_nodes()
    }
    named = [found for document in DOCUMENTS for found in _command.findall(document.read_text())]
    assert len({command for command, _ in named}) >= 20
    for command, rest in named:
        assert f"sparkctl {command}" in known, command
        options = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", rest.split("#")[0]))
        assert options <= known[f"sparkctl {command}"], f"{command}{rest}"


def test_where_the_compose_stack_went_names_keys_that_are_there() -> None:
    text = (CLONE / "docs" / "from-compose.md").read_text()
    is_ = [row.split("|")[2] for row in text.splitlines() if row.startswith("| ")]
    words = re.findall(r"`(\w+(?:\.[\w-]+)?)`", " ".join(is_))
    tables = {**SETTINGS, "rewriting": Rewriting}
    keys = [word for word in words if word.partition(".")[0] in tables and "." in word]
    assert len(keys) >= 7
    for key in keys:
        table, _, name = key.partition(".")
        assert name in keys_of(tables[table]), key
    own = {
        "idle_timeout",
        "min_residency",
        "start_timeout",
        "stop_grace",
        "health",
        "memory",
        "context_length",
    }
    own |= {"runtime", "encodings", "lifecycle", "vision", "status", "reason", "pinned"}
    assert own <= set(words) & set(keys_of(Model))

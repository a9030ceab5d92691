"""Everything that the documentation refers to exists: files, headings, commands and options, catalogue keys."""

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
    """Yield the names that GitHub gives to headings."""
    for heading in re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE):
        yield re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_has_a_target(document: Path) -> None:
    for name, anchor in _link.findall(document.read_text()):
        target = (document.parent / name).resolve() if name else document
        assert target.exists(), name
        assert not anchor or anchor in anchors(target), f"{name}#{anchor}"


def test_every_command_in_the_documentation_exists_with_its_options() -> None:
    known = {
        node.path: {name for option in node.options for name in option.names} for node in list_command_nodes()
    }
    named = [match for document in DOCUMENTS for match in _command.findall(document.read_text())]
    assert len({command for command, _ in named}) >= 20
    for command, rest in named:
        assert f"sparkctl {command}" in known, command
        options = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", rest.split("#")[0]))
        assert options <= known[f"sparkctl {command}"], f"{command}{rest}"


def test_the_page_about_compose_refers_to_existing_keys() -> None:
    text = (CLONE / "docs" / "from-compose.md").read_text()
    column = [row.split("|")[2] for row in text.splitlines() if row.startswith("| ")]
    names_in_text = re.findall(r"`(\w+(?:\.[\w-]+)?)`", " ".join(column))
    tables = {**SETTINGS, "rewriting": Rewriting}
    keys = [
        name_in_text
        for name_in_text in names_in_text
        if name_in_text.partition(".")[0] in tables and "." in name_in_text
    ]
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
    assert own <= set(names_in_text) & set(keys_of(Model))


def test_the_readme_shows_what_the_demo_prints() -> None:
    block = (CLONE / "README.md").read_text().partition("$ scripts/demo\n")[2].partition("```")[0]
    sources = "".join(
        path.read_text()
        for path in (CLONE / "scripts" / "install", *(CLONE / "sparkd" / "cli" / "demo").glob("*.py"))
    )
    fixed = re.findall(
        r"==> ([\w' ]+into \.venv)|^(sparkd serves at)|(until Ctrl-C\. Try this in another terminal, in)",
        block,
        re.MULTILINE,
    )
    texts = [text for match in fixed for text in match if text]
    assert len(texts) == 3
    assert [text for text in texts if text not in sources] == []

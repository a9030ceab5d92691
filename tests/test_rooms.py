"""The shape of the house: who may import whom, and how large a file may grow."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sparkd.scheduling.lifecycle import mermaid

CLONE = Path(__file__).resolve().parent.parent
SOURCES = sorted((CLONE / "sparkd").rglob("*.py"))

ROOMS = [
    "errors",
    "catalog",
    "scheduling",
    "rewriting",
    "engines",
    "guessing",
    "runtimes",
    "machine",
    "hub",
    "history",
    "learning",
    "downloads",
    "watch",
    "launching",
    "run",
    "handover",
    "lease",
    "terms",
    "alarm",
    "reporting",
    "supervisor",
    "succession",
    "gateway",
    "reloading",
    "replacement",
    "control",
    "app",
    "daemon",
    "client",
    "cli",
]
"""From the top down, as docs/architecture.md lists them: a module imports only from its own room and those above."""

CATALOGUE_TYPES = ("catalog.definitions", "catalog.settings", "catalog.labels", "catalog.quantities")
CORE = ("errors", *CATALOGUE_TYPES, "scheduling", "rewriting", "engines", "guessing")
EDGES = {"asyncio", "subprocess", "socket", "time", "threading", "os", "pathlib", "httpx", "psutil"}


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(CLONE).with_suffix("").parts).removesuffix(".__init__")


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_a_module_imports_only_from_rooms_above_its_own(path: Path) -> None:
    own = room(module_of(path))
    if own in ("", "__main__"):
        return
    assert own in ROOMS, f"{own} is a room that docs/architecture.md does not know"
    for imported in imports(path):
        other = room(imported) if imported.startswith("sparkd.") else ""
        if other:
            assert ROOMS.index(other) <= ROOMS.index(own), f"{module_of(path)} imports {imported}"


@pytest.mark.parametrize(
    "path",
    [path for path in SOURCES if module_of(path).removeprefix("sparkd.").startswith(CORE)],
    ids=module_of,
)
def test_the_core_does_no_input_or_output(path: Path) -> None:
    touched = {imported.split(".")[0] for imported in imports(path)} & EDGES
    assert touched <= {"pathlib"}, f"{module_of(path)} imports {touched}"


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_a_file_has_one_job_and_so_at_most_some_300_lines(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 320


def test_the_documented_rooms_are_these() -> None:
    text = (CLONE / "docs" / "architecture.md").read_text()
    text = text[text.index("| room |") :]
    documented = [
        line.split("`")[1].rstrip("/").removesuffix(".py")
        for line in text.splitlines()
        if line.startswith("| `")
    ]
    assert documented == ROOMS


def test_the_documented_lifecycle_is_the_table() -> None:
    text = (CLONE / "docs" / "architecture.md").read_text()
    assert f"```mermaid\n{mermaid()}\n```" in text


def test_the_daemon_imports_nothing_that_makes_its_start_slow() -> None:
    heavy = {"httpx", "rich", "uv", "pydantic", "jsonschema", "tomli_w", "openai", "huggingface_hub"}
    code = "import sys, sparkd.daemon; print(*{name.split('.')[0] for name in sys.modules})"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not heavy & set(ran.stdout.split())

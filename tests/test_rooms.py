"""The architecture of the code: which rooms may import which, and the maximum size of a file."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sparkd.scheduling.lifecycle import render_mermaid

CLONE = Path(__file__).resolve().parent.parent
SOURCES = sorted((CLONE / "sparkd").rglob("*.py"))

FLOORS = [
    ["errors", "journal", "storage"],
    ["catalog", "machine", "service", "usage"],
    ["catalog.reading", "engines", "ollama", "rewriting", "scheduling"],
    ["catalog.reference", "clients", "editing", "guessing", "hub", "processes", "runtimes", "upstream"],
    ["gateway", "launcher", "learning", "templates"],
    ["supervising"],
    ["continuity", "control", "metrics"],
    ["page"],
    ["composition"],
    ["daemon"],
    ["cli"],
]
"""From the lowest to the highest, as in docs/architecture.md. A module imports from its room and from lower floors."""

FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}

CATALOGUE_TYPES = (
    "catalog.definitions",
    "catalog.settings",
    "catalog.labels",
    "catalog.quantities",
    "catalog.steps",
    "catalog.templates",
)
CORE = ("errors", *CATALOGUE_TYPES, "scheduling", "rewriting", "engines", "guessing", "ollama")
EDGES = {"asyncio", "subprocess", "socket", "time", "threading", "os", "pathlib", "httpx", "psutil"}


def room_of(module: str) -> str:
    """Return the room of a module of sparkd: its package, or its sub-package if that is a room of its own."""
    parts = module.split(".")[1:]
    return next((room for room in (".".join(parts[:2]), parts[0]) if room in FLOOR_OF), parts[0])


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(CLONE).with_suffix("").parts).removesuffix(".__init__")


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_a_module_imports_only_from_its_own_room_and_from_floors_below(path: Path) -> None:
    module = module_of(path)
    if module in ("sparkd", "sparkd.__main__"):
        return
    own = room_of(module)
    assert own in FLOOR_OF, f"{own} is a room that docs/architecture.md does not know"
    for imported in imports(path):
        if imported.startswith("sparkd.") and (other := room_of(imported)) != own:
            assert FLOOR_OF[other] < FLOOR_OF[own], f"{module} imports {imported}"


def test_only_the_daemon_is_outside_a_room() -> None:
    loose = {path.stem for path in (CLONE / "sparkd").glob("*.py")}
    assert loose == {"__init__", "__main__", "daemon"}


@pytest.mark.parametrize(
    "path",
    [path for path in SOURCES if module_of(path).removeprefix("sparkd.").startswith(CORE)],
    ids=module_of,
)
def test_the_core_does_no_input_or_output(path: Path) -> None:
    touched = {imported.split(".")[0] for imported in imports(path)} & EDGES
    assert touched <= {"pathlib"}, f"{module_of(path)} imports {touched}"


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_a_file_has_one_purpose_and_at_most_about_300_lines(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 320


def test_the_documented_rooms_are_these() -> None:
    text = (CLONE / "docs" / "architecture.md").read_text()
    text = text[text.index("| floor | room |") :]
    documented = [
        (int(line.split("|")[1]) - 1, line.split("`")[1].rstrip("/").removesuffix(".py").replace("/", "."))
        for line in text.splitlines()
        if re.match(r"\| \d+ \| `", line)
    ]
    assert documented == [(floor, room) for floor, rooms in enumerate(FLOORS) for room in rooms]


def test_the_files_named_in_the_walks_exist() -> None:
    text = (CLONE / "docs" / "architecture.md").read_text()
    named = set(re.findall(r"`([a-z_]+(?:/[a-z_]+)*\.py)`", text)) - {"models.toml"}
    missing = [
        name
        for name in sorted(named)
        if not any((root / name).exists() for root in (CLONE, CLONE / "sparkd"))
    ]
    assert not missing


def test_the_documented_lifecycle_is_the_table() -> None:
    text = (CLONE / "docs" / "architecture.md").read_text()
    assert f"```mermaid\n{render_mermaid()}\n```" in text


def test_the_daemon_imports_nothing_that_slows_its_start() -> None:
    heavy = {
        "httpx",
        "rich",
        "uv",
        "pydantic",
        "jsonschema",
        "tomli_w",
        "openai",
        "huggingface_hub",
        "jinja2",
    }
    heavy |= {
        "psutil",
        "pynvml",
        "click",
        "multiprocessing",
        "unittest",
        "xml",
        "difflib",
        "python_multipart",
        "prometheus_client",
    }
    heavy |= {"urllib.request", "sparkd.cli", "sparkd.guessing", "sparkd.hub.transfer"}
    heavy |= {"sparkd.catalog.reading.drop_ins", "sparkd.catalog.reference", "sparkd.engines.parsers"}
    heavy |= {"sparkd.runtimes.building", "sparkd.control.client", "sparkd.clients", "tomlkit", "ruamel.yaml"}
    code = "import sys, sparkd.daemon; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not heavy & set(ran.stdout.split())

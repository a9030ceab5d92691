"""The page's scripts and stylesheets: lint, types, and libraries that are byte for byte as published."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.clients.installing import PAGE, find_node

CLONE = Path(__file__).resolve().parent.parent.parent
STATIC = CLONE / "sparkd" / "page" / "static"
CONFIGURATIONS = Path(__file__).parent / "javascript"


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the page's own files, the configurations, and what runs them."""
    folder = tmp_path_factory.mktemp("page")
    shutil.copytree(STATIC, folder / "static", ignore=shutil.ignore_patterns("vendor"))
    for path in CONFIGURATIONS.iterdir():
        shutil.copy(path, folder)
    (folder / "node_modules").symlink_to(PAGE / "node_modules")
    return folder


def run(folder: Path, program: str, *arguments: str) -> str:
    """Run a program of `node_modules`; return what it prints if it finds something."""
    node = find_node() / "bin" / "node"
    script = PAGE / "node_modules" / program
    done = subprocess.run([node, script, *arguments], cwd=folder, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_scripts_are_free_of_lint(checked: Path) -> None:
    assert run(checked, "eslint/bin/eslint.js", "static") == ""


def test_stylesheets_are_free_of_lint(checked: Path) -> None:
    assert run(checked, "stylelint/bin/stylelint.mjs", "static/css/*.css") == ""


def test_types_of_scripts_agree(checked: Path) -> None:
    """Their JSDoc and what TypeScript infers, with the libraries' own types."""
    assert run(checked, "typescript/bin/tsc", "-p", "tsconfig.json") == ""


def test_lint_finds_a_mistake(checked: Path) -> None:
    (checked / "wrong.js").write_text("const a = 1;\nundefinedName(`${a}`);\nconst unused = eval;\n")
    found = run(checked, "eslint/bin/eslint.js", "wrong.js")
    assert "no-undef" in found
    assert "no-unused-vars" in found


def test_types_find_a_mistake(checked: Path) -> None:
    script = checked / "static" / "lib" / "wrong.js"
    script.write_text(
        'import { Table } from "./ui.js";\nexport const size = document.title.lenght + Table().x;\n'
    )
    found = run(checked, "typescript/bin/tsc", "-p", "tsconfig.json")
    script.unlink()
    assert "Property 'lenght' does not exist" in found
    assert "Expected 1 arguments" in found


def test_a_class_is_styled_in_one_stylesheet() -> None:
    """The stylesheets of visited views stay: a class with two meanings would change views that are opened later."""
    owners: dict[str, set[str]] = {}
    for path in (STATIC / "css").glob("*.css"):
        text = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.DOTALL)
        selectors = [each.strip() for rule in re.findall(r"([^{}]+)\{", text) for each in rule.split(",")]
        for selector in selectors:
            if found := re.fullmatch(r"\.([a-z][\w-]*)(?:::?[\w-]+(?:\([^)]*\))?)*", selector):
                owners.setdefault(found[1], set()).add(path.name)
    assert {name: files for name, files in owners.items() if len(files) > 1} == {}


def test_libraries_are_as_published() -> None:
    check = [sys.executable, str(CLONE / "scripts" / "vendor-page"), "--check"]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")

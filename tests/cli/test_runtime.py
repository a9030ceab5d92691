"""`sparkctl runtime`, on builds of a runtime with nothing in it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.running import sparkctl


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a catalogue and a runtime called `plain`."""
    (tmp_path / "venvs" / "plain").mkdir(parents=True)
    (tmp_path / "venvs" / "plain" / "requirements.lock").touch()
    (tmp_path / "models.toml").touch()
    define(tmp_path, "one")
    return tmp_path


def define(folder: Path, description: str) -> None:
    (folder / "venvs" / "plain" / "runtime.toml").write_text(f'description = "{description}"\n')


def build(folder: Path, description: str) -> Path:
    define(folder, description)
    result = sparkctl("runtime", "build", "plain", "--json", cwd=folder)
    assert result.code == 0, result.err
    return Path(json.loads(result.out)["folder"])


def rows(folder: Path) -> list[list[str]]:
    result = sparkctl("runtime", "list", cwd=folder)
    assert result.code == 0, result.err
    return [line.split() for line in result.out.splitlines()[1:]]


def test_builds_are_listed_with_their_dates_and_sizes_the_current_one_first(folder: Path) -> None:
    one, two = build(folder, "one"), build(folder, "two")
    first, second = rows(folder)
    assert (first[:3], first[-1]) == (["plain", "built", two.name], "two")
    assert second[:2] == ["kept", one.name]
    assert second[-1] in ("KiB", "MiB")
    [listed] = json.loads(sparkctl("runtime", "list", "--json", cwd=folder).out)
    assert listed["folder"] == str(two)
    assert (listed["rolled_back"], listed["outdated"]) == (False, False)
    assert [(build["folder"], build["current"], build["usable"]) for build in listed["builds"]] == [
        (str(two), True, True),
        (str(one), False, True),
    ]
    assert all(
        build["size"] > 0 and build["created"] > 1.7e9 and build["python"] for build in listed["builds"]
    )


def test_one_goes_back_and_forward_with_one_command_each(folder: Path) -> None:
    one, two = build(folder, "one"), build(folder, "two")
    result = sparkctl("runtime", "rollback", "plain", cwd=folder)
    assert result.code == 0
    assert result.out == (
        f"Runtime 'plain' was rolled back to {one.name} instead of {two.name}.\n"
        "Running engines are not affected; the next start of a model uses it. "
        "`sparkctl runtime build plain` returns to the newest build.\n"
    )
    assert rows(folder)[0][:4] == ["plain", "rolled", "back", one.name]
    again = sparkctl("runtime", "rollback", "plain", cwd=folder)
    assert again.code == 4
    assert f"runtime 'plain' has no build older than {one.name}" in again.err
    assert "It was rolled back. Engines use it again" in sparkctl("runtime", "build", "plain", cwd=folder).out
    assert rows(folder)[0][:3] == ["plain", "built", two.name]
    output = json.loads(sparkctl("runtime", "rollback", "plain", "--json", cwd=folder).out)
    assert output == {"name": "plain", "from": str(two), "folder": str(one)}


def test_pruning_says_what_it_removed_and_what_it_kept(folder: Path) -> None:
    one, two, three = (build(folder, words) for words in ("one", "two", "three"))
    (folder / "state" / "cache" / one.name).mkdir(parents=True)
    assert sparkctl("runtime", "prune", cwd=folder).out.splitlines() == [
        f"Removed {one}",
        "Removed 1 cache of removed builds.",
        "Each runtime keeps its current and its previous build; --all keeps only the current one.",
    ]
    assert sparkctl("runtime", "prune", "--all", cwd=folder).out.splitlines() == [f"Removed {two}"]
    assert sparkctl("runtime", "prune", "--all", cwd=folder).out.splitlines() == [
        "There is no build to remove."
    ]
    output = json.loads(sparkctl("runtime", "prune", "--json", cwd=folder).out)
    assert output == {"removed": [], "in_use": {}, "caches": []}
    assert three.is_dir()


def test_a_runtime_that_is_not_there_is_4_and_the_nearest_is_named(folder: Path) -> None:
    result = sparkctl("runtime", "rollback", "plian", cwd=folder)
    assert result.code == 4
    assert 'did you mean "plain"?' in result.err


def test_what_the_disk_refuses_is_told_in_a_line(folder: Path) -> None:
    build(folder, "one")
    build(folder, "two")
    (folder / "runtimes" / ".rolled-back").write_text("a file where a folder belongs")
    result = sparkctl("runtime", "rollback", "plain", cwd=folder)
    assert result.code == 1
    assert result.err == f"sparkctl: {folder}/runtimes/.rolled-back: File exists\n"

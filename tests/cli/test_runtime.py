"""`sparkctl runtime`, on builds of a runtime with nothing in it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.running import sparkctl


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A folder with a catalogue and a runtime called `plain`."""
    (tmp_path / "venvs" / "plain").mkdir(parents=True)
    (tmp_path / "venvs" / "plain" / "requirements.lock").touch()
    (tmp_path / "models.toml").touch()
    define(tmp_path, "one")
    return tmp_path


def define(house: Path, description: str) -> None:
    (house / "venvs" / "plain" / "runtime.toml").write_text(f'description = "{description}"\n')


def build(house: Path, description: str) -> Path:
    define(house, description)
    ran = sparkctl("runtime", "build", "plain", "--json", cwd=house)
    assert ran.code == 0, ran.err
    return Path(json.loads(ran.out)["folder"])


def rows(house: Path) -> list[list[str]]:
    ran = sparkctl("runtime", "list", cwd=house)
    assert ran.code == 0, ran.err
    return [line.split() for line in ran.out.splitlines()[1:]]


def test_builds_are_listed_with_their_dates_and_sizes_the_current_one_first(house: Path) -> None:
    one, two = build(house, "one"), build(house, "two")
    first, second = rows(house)
    assert (first[:3], first[-1]) == (["plain", "built", two.name], "two")
    assert second[:2] == ["kept", one.name]
    assert second[-1] in ("KiB", "MiB")
    [listed] = json.loads(sparkctl("runtime", "list", "--json", cwd=house).out)
    assert listed["folder"] == str(two)
    assert (listed["rolled_back"], listed["outdated"]) == (False, False)
    assert [(build["folder"], build["current"], build["usable"]) for build in listed["builds"]] == [
        (str(two), True, True),
        (str(one), False, True),
    ]
    assert all(
        build["size"] > 0 and build["created"] > 1.7e9 and build["python"] for build in listed["builds"]
    )


def test_one_goes_back_and_forward_with_one_command_each(house: Path) -> None:
    one, two = build(house, "one"), build(house, "two")
    ran = sparkctl("runtime", "rollback", "plain", cwd=house)
    assert ran.code == 0
    assert ran.out == (
        f"Runtime 'plain' is rolled back to {one.name} instead of {two.name}.\n"
        "Engines that run now are left alone; the next start of a model takes it. "
        "`sparkctl runtime build plain` goes forward again.\n"
    )
    assert rows(house)[0][:4] == ["plain", "rolled", "back", one.name]
    again = sparkctl("runtime", "rollback", "plain", cwd=house)
    assert again.code == 4
    assert f"runtime 'plain' has no build older than {one.name}" in again.err
    assert "It was rolled back. Engines use it again" in sparkctl("runtime", "build", "plain", cwd=house).out
    assert rows(house)[0][:3] == ["plain", "built", two.name]
    told = json.loads(sparkctl("runtime", "rollback", "plain", "--json", cwd=house).out)
    assert told == {"name": "plain", "from": str(two), "folder": str(one)}


def test_pruning_says_what_it_removed_and_what_it_kept(house: Path) -> None:
    one, two, three = (build(house, words) for words in ("one", "two", "three"))
    (house / "state" / "cache" / one.name).mkdir(parents=True)
    assert sparkctl("runtime", "prune", cwd=house).out.splitlines() == [
        f"Removed {one}",
        "Removed 1 cache of builds that are gone.",
        "Each runtime keeps its current build and the one before; --all keeps the current one only.",
    ]
    assert sparkctl("runtime", "prune", "--all", cwd=house).out.splitlines() == [f"Removed {two}"]
    assert sparkctl("runtime", "prune", "--all", cwd=house).out.splitlines() == [
        "There was no build to remove."
    ]
    told = json.loads(sparkctl("runtime", "prune", "--json", cwd=house).out)
    assert told == {"removed": [], "in_use": {}, "caches": []}
    assert three.is_dir()


def test_a_runtime_that_is_not_there_is_4_and_the_nearest_is_named(house: Path) -> None:
    ran = sparkctl("runtime", "rollback", "plian", cwd=house)
    assert ran.code == 4
    assert 'did you mean "plain"?' in ran.err


def test_what_the_disk_refuses_is_told_in_a_line(house: Path) -> None:
    build(house, "one")
    build(house, "two")
    (house / "runtimes" / ".rolled-back").write_text("a file where a folder belongs")
    ran = sparkctl("runtime", "rollback", "plain", cwd=house)
    assert ran.code == 1
    assert ran.err == f"sparkctl: {house}/runtimes/.rolled-back: File exists\n"

"""`[[steps]]` of a runtime.toml: lists of tables, with the position of every problem."""

from __future__ import annotations

import pytest

from sparkd.catalog.steps import Checkout, Patch
from tests.catalog.folder import Folder

COMMIT, DIGEST = "0123456789" * 4, "01234567" * 8

STEP = f"""
[[steps]]
step = "one"
disk = "2 GiB"
needs = {{ nvcc = "sudo apt-get install cuda-toolkit-13-0" }}
commands = [["make", "wheel"]]
builds = ["thing"]
environment = {{ MAX_JOBS = "1" }}

[[steps.sources]]
repository = "https://example.org/thing.git"
commit = "{COMMIT}"
submodules = ["3rdparty/other"]

[[steps.patches]]
file = "thing.patch"
sha256 = "{DIGEST}"
"""


def problems_of(folder: Folder, text: str) -> list[str]:
    folder.write("venvs/forked/runtime.toml", text)
    return [line.removeprefix("venvs/forked/runtime.toml: ") for line in folder.problems("")]


def test_a_step_has_its_sources_and_patches_in_it(folder: Folder) -> None:
    folder.write("venvs/forked/runtime.toml", STEP)
    [step] = folder.read("").runtimes["forked"].steps
    assert (step.step, step.disk, step.commands, step.builds) == (
        "one",
        2 * 2**30,
        (("make", "wheel"),),
        ("thing",),
    )
    assert step.sources == (
        Checkout(repository="https://example.org/thing.git", commit=COMMIT, submodules=("3rdparty/other",)),
    )
    assert step.patches == (Patch(file="thing.patch", sha256=DIGEST),)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('step = "one"\n', "", 'steps.1: needs a key "step"'),
        (f'commit = "{COMMIT}"\n', "", 'steps.1.sources.1: needs a key "commit"'),
        (COMMIT, "main", 'steps.1.sources.1.commit = "main": expected a string that matches ^[0-9a-f]{40}$'),
        ("submodules", "submodule", "steps.1.sources.1.submodule = [\"3rdparty/other\"]: unknown key; did you mean"),
        (DIGEST, "0" * 63, "steps.1.patches.1.sha256"),
        ("2 GiB", "2 GB/s", 'steps.1.disk = "2 GB/s": expected a size such as "20 GiB"'),
        ('"thing.patch"', '"../thing.patch"', 'steps.1.patches = "../thing.patch": expected a relative path'),
        ('[["make", "wheel"]]', '["make"]', 'steps.1.commands = ["make"]: expected a list of lists of strings'),
        ("[[steps.sources]]", "[[steps.source]]", "steps.1.source = "),
    ],
)  # fmt: skip
def test_a_problem_in_a_step_is_reported_with_its_number(
    folder: Folder, old: str, new: str, problem: str
) -> None:
    assert old in STEP
    [line] = problems_of(folder, STEP.replace(old, new))
    assert line.startswith(problem)


def test_two_steps_have_two_names(folder: Folder) -> None:
    assert problems_of(folder, STEP + STEP) == ['steps.2.step = "one": another step has this name']


def test_steps_are_a_list_of_tables(folder: Folder) -> None:
    assert problems_of(folder, 'steps = "make"') == ['steps = "make": expected a list of tables']
    assert problems_of(folder, "steps = [1]") == ["steps.1 = 1: expected a table"]


def test_variables_for_arm_have_names_of_variables_too(folder: Folder) -> None:
    assert problems_of(folder, 'environment_aarch64 = { "A B" = "1" }')[0].startswith(
        'environment_aarch64."A B" = "1": '
    )

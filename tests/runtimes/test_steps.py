"""Steps that build from source: real git, a real compiler, kill -9, and what is wrong with sources and machines."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from sparkd.catalog.steps import Checkout
from sparkd.errors import RuntimeBuildError
from sparkd.runtimes import build, find_installed
from tests.runtimes.test_killed import building, wait_for
from tests.runtimes.tiny import Tiny
from tests.runtimes.workshop import ENVIRONMENT, Workshop, commit, git


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path / "shop")


@pytest.fixture
def tiny(tmp_path: Path) -> Tiny:
    return Tiny(tmp_path)


def rebuild(tiny: Tiny, **more: str) -> Path:
    environment = {**tiny.environment, **ENVIRONMENT, **more}
    return build(tiny.runtime, tiny.root, tiny.report, inherited=environment)


def make(tiny: Tiny, *steps: Any, **keys: Any) -> Path:
    tiny.define(tiny.lock, steps=steps, **keys)
    return rebuild(tiny)


def failure(tiny: Tiny, *steps: Any, **keys: Any) -> str:
    with pytest.raises(RuntimeBuildError) as caught:
        make(tiny, *steps, **keys)
    assert find_installed(tiny.runtime, tiny.root) is None
    assert not list(tiny.root.glob("tiny-*"))
    return caught.value.message


def answer(folder: Path, module: str = "first") -> str:
    program = f"import {module}; print({module}.answer())"
    return subprocess.run(
        (folder / "bin" / "python", "-c", program), check=True, capture_output=True, text=True
    ).stdout.strip()


def test_a_step_builds_a_commit_with_its_submodules_into_the_virtualenv(
    tiny: Tiny, workshop: Workshop
) -> None:
    wanted = workshop.step()
    commit(workshop.ext, ext__c="this is what the branch has now")
    assert answer(make(tiny, wanted, imports=("tiny", "first"))) == "41"
    assert workshop.journal.read_text() == "first 2\n", "no more than two compilers at once"


def test_of_a_finished_build_only_wheels_and_records_are_kept(tiny: Tiny, workshop: Workshop) -> None:
    make(tiny, workshop.step())
    kept = sorted(str(path.relative_to(tiny.root / ".steps")) for path in (tiny.root / ".steps").rglob("*"))
    assert [name for name in kept if not name.endswith(".whl")] == [
        "tiny",
        "tiny/first",
        "tiny/first/done.json",
        "tiny/first/wheels",
    ]


def test_sources_lie_where_the_step_says_and_patches_change_them(tiny: Tiny, workshop: Workshop) -> None:
    other = commit(workshop.place / "other", number__h="#define NUMBER 1000\n")
    sources = (
        Checkout(repository=str(workshop.ext), commit=workshop.commit),
        Checkout(repository=str(workshop.place / "other"), commit=other, into="common"),
    )
    step = workshop.step(sources=sources, patches=(workshop.patch(tiny.runtime.folder),))
    assert answer(make(tiny, step)) == "1001"


def test_a_finished_step_is_not_built_again_for_a_change_elsewhere(tiny: Tiny, workshop: Workshop) -> None:
    first = make(tiny, workshop.step(), workshop.step("second"))
    again = make(tiny, workshop.step(), workshop.step("second"), description="other text")
    assert again != first
    assert workshop.built == ["first", "second"]
    assert answer(again, "second") == "41"
    assert "Step 2 of 2, second: built before" in tiny.lines


def test_a_change_to_a_step_builds_it_and_later_steps_again(tiny: Tiny, workshop: Workshop) -> None:
    steps = [workshop.step(), workshop.step("second"), workshop.step("third")]
    make(tiny, *steps)
    changed = workshop.step("second", patches=(workshop.patch(tiny.runtime.folder),))
    folder = make(tiny, steps[0], changed, steps[2])
    assert workshop.built == ["first", "second", "third", "second", "third"]
    assert answer(folder, "second") == "42"


def test_a_build_killed_in_a_step_goes_on_at_that_step(tiny: Tiny, workshop: Workshop) -> None:
    tiny.define(tiny.lock, steps=(workshop.step(), workshop.step("second"), workshop.step("third")))
    stop, stopped = Path(f"{workshop.journal}.stop-second"), Path(f"{workshop.journal}.stopped")
    stop.touch()
    with building(tiny, ENVIRONMENT):
        wait_for(stopped)
    assert find_installed(tiny.runtime, tiny.root) is None
    tiny.on_wait = stop.unlink
    folder = rebuild(tiny)
    assert workshop.built == ["first", "second", "second", "third"]
    assert [answer(folder, name) for name in ("first", "second", "third")] == ["41"] * 3
    assert any(line.startswith("Waiting for another build") for line in tiny.lines), (
        "the compiler outlived it"
    )


def test_a_second_attempt_needs_no_network(tiny: Tiny, workshop: Workshop) -> None:
    good = workshop.step(sources=(Checkout(repository=str(workshop.ext), commit=workshop.commit),))
    broken = workshop.step(sources=good.sources, commands=(("false",),))
    assert "`false` failed" in failure(tiny, broken)
    (workshop.ext / ".git").rename(workshop.place / "unreachable")
    number = ("cp", str(workshop.common / "number.h"), ".")
    assert answer(make(tiny, workshop.step(sources=good.sources, commands=(number, *good.commands)))) == "41"


def test_a_damaged_wheel_of_a_finished_step_is_built_again(tiny: Tiny, workshop: Workshop) -> None:
    make(tiny, workshop.step())
    [wheel] = (tiny.root / ".steps/tiny/first/wheels").iterdir()
    wheel.write_bytes(b"half")
    assert answer(make(tiny, workshop.step(), description="other text")) == "41"
    (tiny.root / ".steps/tiny/first/done.json").write_text('{"digest":')
    make(tiny, workshop.step(), description="yet others")
    assert workshop.built == ["first"] * 3


def test_a_damaged_copy_of_a_source_is_fetched_again(tiny: Tiny, workshop: Workshop) -> None:
    failure(tiny, workshop.step(commands=(("false",),)))
    for thing in (tiny.root / ".steps/tiny/fetched").glob("*.git/objects/*/*"):
        thing.chmod(0o644)
        thing.write_bytes(b"")
    assert answer(make(tiny, workshop.step())) == "41"


def test_a_commit_that_is_not_there_is_named(tiny: Tiny, workshop: Workshop) -> None:
    wrong = Checkout(repository=str(workshop.ext), commit="0123456789" * 4)
    message = failure(tiny, workshop.step(sources=(wrong,)))
    assert message.startswith(f"Step 'first': {workshop.ext} has no commit {wrong.commit}")


def test_a_repository_that_is_not_there_is_named(tiny: Tiny, workshop: Workshop) -> None:
    missing = Checkout(repository=str(workshop.place / "nowhere"), commit=workshop.commit)
    message = failure(tiny, workshop.step(sources=(missing,)))
    assert message.startswith(f"Step 'first': cannot fetch {workshop.place / 'nowhere'}")


def test_a_patch_that_is_not_the_pinned_one_is_refused(tiny: Tiny, workshop: Workshop) -> None:
    patch = workshop.patch(tiny.runtime.folder)
    file = tiny.runtime.folder / patch.file
    file.write_text(file.read_text().replace("NUMBER + 1", "NUMBER + 2"))
    message = failure(tiny, workshop.step(patches=(patch,)))
    assert message.startswith(f"Step 'first': {file} is not the pinned patch: its SHA-256 is ")
    assert not workshop.built


def test_a_patch_that_does_not_apply_is_reported_with_gits_output(tiny: Tiny, workshop: Workshop) -> None:
    patch = workshop.patch(
        tiny.runtime.folder, "--- a/ext.c\n+++ b/ext.c\n@@ -1 +1 @@\n-not there\n+anything\n"
    )
    message = failure(tiny, workshop.step(patches=(patch,)))
    assert message.startswith("Step 'first': one.patch does not apply to the source")
    assert "ext.c" in message


def test_a_patch_never_reaches_a_repository_around_the_builds(tiny: Tiny, workshop: Workshop) -> None:
    head = commit(tiny.place, ext__c="the owner's own\n")
    sources = (Checkout(repository=str(workshop.ext), commit=workshop.commit, into="inside"),)
    step = workshop.step(sources=sources, patches=(workshop.patch(tiny.runtime.folder),))
    assert "does not apply to the source" in failure(tiny, step)
    assert (tiny.place / "ext.c").read_text() == "the owner's own\n"
    assert git(tiny.place, "rev-parse", "HEAD") == head


def test_everything_missing_is_reported_with_its_command_before_any_fetch(
    tiny: Tiny, workshop: Workshop
) -> None:
    needs = {
        "nvcc-of-mars": "sudo apt-get install mars",
        "mars.h": "sudo apt-get install libmars-dev",
        "sh": "",
    }
    assert failure(tiny, workshop.step(needs=needs, disk=2**50)).splitlines()[:3] == [
        "Step 'first' of runtime 'tiny' needs:",
        "    nvcc-of-mars: sudo apt-get install mars",
        "    mars.h: sudo apt-get install libmars-dev",
    ]
    assert not (tiny.root / ".steps/tiny/fetched").exists()


def test_a_toolkit_of_another_cuda_is_not_taken(tiny: Tiny, workshop: Workshop) -> None:
    nvcc = tiny.place / "bin" / "nvcc"
    nvcc.parent.mkdir()
    nvcc.write_text("#!/bin/sh\necho Cuda compilation tools, release 12.8, V12.8.93\n")
    nvcc.chmod(0o755)
    tiny.define(tiny.lock, steps=(workshop.step(needs={"nvcc": "get 13"}),), cuda="13")
    path = f"{nvcc.parent}:{tiny.environment['PATH']}"
    with pytest.raises(RuntimeBuildError, match=r"CUDA toolkit 13 \(nvcc belongs to 12\): get 13"):
        rebuild(tiny, PATH=path)


def test_a_step_that_leaves_no_wheel_of_what_it_builds_has_failed(tiny: Tiny, workshop: Workshop) -> None:
    message = failure(tiny, workshop.step(builds=("first", "another-thing")))
    assert message == "Step 'first' built no wheel of another-thing."


def test_a_command_that_fails_shows_its_last_lines(tiny: Tiny, workshop: Workshop) -> None:
    message = failure(tiny, workshop.step(commands=(("sh", "-c", "echo first I looked; exit 3"),)))
    assert (
        "`sh -c echo first I looked; exit 3` failed: sh failed (exit code 3)\n    first I looked" in message
    )

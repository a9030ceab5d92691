"""Steps that build from source: real git, a real compiler, kill -9, and what is wrong with sources and machines."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from sparkd.catalog.steps import Checkout
from sparkd.errors import RuntimeBuildError
from sparkd.runtimes import build, installed
from tests.runtimes.test_killed import building, wait_for
from tests.runtimes.tiny import Tiny
from tests.runtimes.workshop import ENVIRONMENT, Workshop, commit, git


@pytest.fixture
def shop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path / "shop")


@pytest.fixture
def tiny(tmp_path: Path) -> Tiny:
    return Tiny(tmp_path)


def rebuild(tiny: Tiny, **more: str) -> Path:
    environment = {**tiny.environment, **ENVIRONMENT, **more}
    return build(tiny.runtime, tiny.root, tiny.lines.append, inherited=environment)


def make(tiny: Tiny, *steps: Any, **keys: Any) -> Path:
    tiny.define(tiny.lock, steps=steps, **keys)
    return rebuild(tiny)


def failure(tiny: Tiny, *steps: Any, **keys: Any) -> str:
    with pytest.raises(RuntimeBuildError) as caught:
        make(tiny, *steps, **keys)
    assert installed(tiny.runtime, tiny.root) is None
    assert not list(tiny.root.glob("tiny-*"))
    return caught.value.message


def answer(folder: Path, module: str = "first") -> str:
    program = f"import {module}; print({module}.answer())"
    return subprocess.run(
        (folder / "bin" / "python", "-c", program), check=True, capture_output=True, text=True
    ).stdout.strip()


def test_a_step_builds_a_commit_with_its_submodules_into_the_virtualenv(tiny: Tiny, shop: Workshop) -> None:
    wanted = shop.step()
    commit(shop.ext, ext__c="this is what the branch has now")
    assert answer(make(tiny, wanted, imports=("tiny", "first"))) == "41"
    assert shop.journal.read_text() == "first 2\n", "no more than two compilers at once"


def test_of_a_finished_build_only_wheels_and_records_are_kept(tiny: Tiny, shop: Workshop) -> None:
    make(tiny, shop.step())
    kept = sorted(str(path.relative_to(tiny.root / ".steps")) for path in (tiny.root / ".steps").rglob("*"))
    assert [name for name in kept if not name.endswith(".whl")] == [
        "tiny",
        "tiny/first",
        "tiny/first/done.json",
        "tiny/first/wheels",
    ]


def test_sources_lie_where_the_step_says_and_patches_change_them(tiny: Tiny, shop: Workshop) -> None:
    other = commit(shop.place / "other", number__h="#define NUMBER 1000\n")
    sources = (
        Checkout(repository=str(shop.ext), commit=shop.commit),
        Checkout(repository=str(shop.place / "other"), commit=other, into="common"),
    )
    step = shop.step(sources=sources, patches=(shop.patch(tiny.runtime.folder),))
    assert answer(make(tiny, step)) == "1001"


def test_what_has_been_built_is_not_built_again_for_a_change_elsewhere(tiny: Tiny, shop: Workshop) -> None:
    first = make(tiny, shop.step(), shop.step("second"))
    again = make(tiny, shop.step(), shop.step("second"), description="other words")
    assert again != first
    assert shop.built == ["first", "second"]
    assert answer(again, "second") == "41"
    assert "Step 2 of 2, second: built before" in tiny.lines


def test_a_change_to_a_step_builds_it_and_those_after_it_anew(tiny: Tiny, shop: Workshop) -> None:
    steps = [shop.step(), shop.step("second"), shop.step("third")]
    make(tiny, *steps)
    changed = shop.step("second", patches=(shop.patch(tiny.runtime.folder),))
    folder = make(tiny, steps[0], changed, steps[2])
    assert shop.built == ["first", "second", "third", "second", "third"]
    assert answer(folder, "second") == "42"


def test_a_build_killed_in_a_step_goes_on_at_that_step(tiny: Tiny, shop: Workshop) -> None:
    tiny.define(tiny.lock, steps=(shop.step(), shop.step("second"), shop.step("third")))
    stop, stopped = Path(f"{shop.journal}.stop-second"), Path(f"{shop.journal}.stopped")
    stop.touch()
    with building(tiny, ENVIRONMENT):
        wait_for(stopped)
    stop.unlink()
    assert installed(tiny.runtime, tiny.root) is None
    began = time.monotonic()
    folder = rebuild(tiny)
    assert shop.built == ["first", "second", "second", "third"]
    assert [answer(folder, name) for name in ("first", "second", "third")] == ["41"] * 3
    assert time.monotonic() - began < 30
    assert any(line.startswith("Waiting for another build") for line in tiny.lines), (
        "the compiler outlived it"
    )


def test_a_second_attempt_needs_no_network(tiny: Tiny, shop: Workshop) -> None:
    good = shop.step(sources=(Checkout(repository=str(shop.ext), commit=shop.commit),))
    broken = shop.step(sources=good.sources, commands=(("false",),))
    assert "`false` failed" in failure(tiny, broken)
    (shop.ext / ".git").rename(shop.place / "unreachable")
    number = ("cp", str(shop.common / "number.h"), ".")
    assert answer(make(tiny, shop.step(sources=good.sources, commands=(number, *good.commands)))) == "41"


def test_a_damaged_wheel_of_a_finished_step_is_built_again(tiny: Tiny, shop: Workshop) -> None:
    make(tiny, shop.step())
    [wheel] = (tiny.root / ".steps/tiny/first/wheels").iterdir()
    wheel.write_bytes(b"half")
    assert answer(make(tiny, shop.step(), description="other words")) == "41"
    (tiny.root / ".steps/tiny/first/done.json").write_text('{"digest":')
    make(tiny, shop.step(), description="yet others")
    assert shop.built == ["first"] * 3


def test_a_damaged_copy_of_a_source_is_fetched_again(tiny: Tiny, shop: Workshop) -> None:
    failure(tiny, shop.step(commands=(("false",),)))
    for thing in (tiny.root / ".steps/tiny/fetched").glob("*.git/objects/*/*"):
        thing.chmod(0o644)
        thing.write_bytes(b"")
    assert answer(make(tiny, shop.step())) == "41"


def test_a_commit_that_is_not_there_is_named(tiny: Tiny, shop: Workshop) -> None:
    wrong = Checkout(repository=str(shop.ext), commit="0123456789" * 4)
    message = failure(tiny, shop.step(sources=(wrong,)))
    assert message.startswith(f"Step 'first': {shop.ext} has no commit {wrong.commit}")


def test_a_repository_that_is_not_there_is_named(tiny: Tiny, shop: Workshop) -> None:
    missing = Checkout(repository=str(shop.place / "nowhere"), commit=shop.commit)
    message = failure(tiny, shop.step(sources=(missing,)))
    assert message.startswith(f"Step 'first': cannot fetch {shop.place / 'nowhere'}")


def test_a_patch_that_is_not_the_pinned_one_is_refused(tiny: Tiny, shop: Workshop) -> None:
    patch = shop.patch(tiny.runtime.folder)
    file = tiny.runtime.folder / patch.file
    file.write_text(file.read_text().replace("NUMBER + 1", "NUMBER + 2"))
    message = failure(tiny, shop.step(patches=(patch,)))
    assert message.startswith(f"Step 'first': {file} is not the pinned patch: its SHA-256 is ")
    assert not shop.built


def test_a_patch_that_does_not_fit_is_told_with_what_git_says(tiny: Tiny, shop: Workshop) -> None:
    patch = shop.patch(tiny.runtime.folder, "--- a/ext.c\n+++ b/ext.c\n@@ -1 +1 @@\n-not there\n+anything\n")
    message = failure(tiny, shop.step(patches=(patch,)))
    assert message.startswith("Step 'first': one.patch does not apply to the source")
    assert "ext.c" in message


def test_a_patch_never_reaches_a_repository_around_the_builds(tiny: Tiny, shop: Workshop) -> None:
    head = commit(tiny.place, ext__c="the owner's own\n")
    sources = (Checkout(repository=str(shop.ext), commit=shop.commit, into="inside"),)
    step = shop.step(sources=sources, patches=(shop.patch(tiny.runtime.folder),))
    assert "does not apply to the source" in failure(tiny, step)
    assert (tiny.place / "ext.c").read_text() == "the owner's own\n"
    assert git(tiny.place, "rev-parse", "HEAD") == head


def test_all_that_the_machine_lacks_is_told_with_what_gets_it_and_nothing_is_fetched(
    tiny: Tiny, shop: Workshop
) -> None:
    needs = {
        "nvcc-of-mars": "sudo apt-get install mars",
        "mars.h": "sudo apt-get install libmars-dev",
        "sh": "",
    }
    assert failure(tiny, shop.step(needs=needs, disk=2**50)).splitlines()[:3] == [
        "Step 'first' of runtime 'tiny' needs:",
        "    nvcc-of-mars: sudo apt-get install mars",
        "    mars.h: sudo apt-get install libmars-dev",
    ]
    assert not (tiny.root / ".steps/tiny/fetched").exists()


def test_a_toolkit_of_another_cuda_is_not_taken(tiny: Tiny, shop: Workshop) -> None:
    nvcc = tiny.place / "bin" / "nvcc"
    nvcc.parent.mkdir()
    nvcc.write_text("#!/bin/sh\necho Cuda compilation tools, release 12.8, V12.8.93\n")
    nvcc.chmod(0o755)
    tiny.define(tiny.lock, steps=(shop.step(needs={"nvcc": "get 13"}),), cuda="13")
    path = f"{nvcc.parent}:{tiny.environment['PATH']}"
    with pytest.raises(RuntimeBuildError, match=r"CUDA toolkit 13 \(nvcc is of 12\): get 13"):
        rebuild(tiny, PATH=path)


def test_a_step_that_leaves_no_wheel_of_what_it_builds_has_failed(tiny: Tiny, shop: Workshop) -> None:
    message = failure(tiny, shop.step(builds=("first", "another-thing")))
    assert message == "Step 'first' built no wheel of another-thing."


def test_a_command_that_fails_shows_its_last_lines(tiny: Tiny, shop: Workshop) -> None:
    message = failure(tiny, shop.step(commands=(("sh", "-c", "echo first I looked; exit 3"),)))
    assert (
        "`sh -c echo first I looked; exit 3` failed: sh failed (exit code 3)\n    first I looked" in message
    )

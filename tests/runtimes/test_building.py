from __future__ import annotations

import platform
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from sparkd.runtimes import find_installed, list_builds
from tests.runtimes.tiny import Tiny, make_wheel


@pytest.fixture
def tiny(tmp_path: Path) -> Tiny:
    return Tiny(tmp_path)


def output(*argv: str | Path) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def test_a_definition_becomes_a_virtualenv_whose_programs_run_where_it_was_put(tiny: Tiny) -> None:
    folder = tiny.build()
    assert find_installed(tiny.runtime, tiny.root) == folder
    assert folder.parent == tiny.root
    assert output(folder / "bin" / "tiny").strip() == f"tiny answers with {folder / 'bin' / 'python'}"


def test_nothing_but_the_build_is_left(tiny: Tiny) -> None:
    folder = tiny.build()
    assert sorted(path.name for path in tiny.root.iterdir()) == [".cache", ".lock", folder.name]
    assert not list(folder.glob(".sparkd-*"))


def test_a_build_records_the_versions_of_all_that_is_in_it(tiny: Tiny) -> None:
    tiny.define(tiny.lock, provides={"big-name": "2.0+cpu"})
    tiny.build()
    assert list_builds(tiny.root)[0].record.versions == {"big-name": "2.0+cpu", "tiny": "1.0"}


def test_bytecode_is_made_even_where_the_environment_forbids_it(tiny: Tiny) -> None:
    assert list(tiny.build().glob("lib/python*/site-packages/__pycache__/tiny.*.pyc"))


def test_an_unchanged_definition_is_not_built_again(tiny: Tiny) -> None:
    first = tiny.build()
    born = first.stat().st_ctime_ns
    tiny.lines.clear()
    assert tiny.build() == first
    assert first.stat().st_ctime_ns == born
    assert tiny.lines == [f"Runtime 'tiny' is built: {first}"]


def test_a_changed_lock_or_definition_is_built_again_and_the_old_builds_stay(tiny: Tiny) -> None:
    folders = [tiny.build()]
    tiny.define(tiny.lock + "# changed\n")
    assert find_installed(tiny.runtime, tiny.root) is None
    folders.append(tiny.build())
    tiny.define(tiny.lock, description="changed")
    assert find_installed(tiny.runtime, tiny.root) is None
    folders.append(tiny.build())
    assert len(set(folders)) == 3
    assert [build.folder for build in list_builds(tiny.root)] == folders


@pytest.mark.parametrize("record", [b"", b"{", b'{"name": "\xff"}', b"\0" * 100, b"[]"])
def test_a_build_whose_record_is_garbage_is_none(tiny: Tiny, record: bytes) -> None:
    folder = tiny.root / "tiny-0123456789ab"
    folder.mkdir(parents=True)
    (folder / "sparkd-build.json").write_bytes(record)
    assert list_builds(tiny.root) == []


def test_going_back_to_an_earlier_definition_finds_its_build(tiny: Tiny) -> None:
    lock = tiny.lock
    first = tiny.build()
    tiny.define(lock + "# changed\n")
    tiny.build()
    tiny.define(lock)
    assert find_installed(tiny.runtime, tiny.root) == first


def test_a_build_whose_python_has_left_the_machine_is_built_again(tiny: Tiny) -> None:
    folder = tiny.build()
    (folder / "bin" / "python").unlink()
    (folder / "bin" / "python").symlink_to(tiny.place / "python-that-was-removed")
    assert find_installed(tiny.runtime, tiny.root) is None
    assert not list_builds(tiny.root)[0].usable
    assert tiny.build() == folder
    assert "tiny answers" in output(folder / "bin" / "tiny")


def test_a_stand_in_claims_its_name_and_version(tiny: Tiny) -> None:
    tiny.define(tiny.lock, provides={"big-name": "2.0+cpu"})
    program = "import importlib.metadata as m; print(m.version('big-name'))"
    assert output(tiny.build() / "bin" / "python", "-c", program) == "2.0+cpu\n"


def test_a_local_build_of_torch_wins_over_the_index_of_its_backend(tiny: Tiny) -> None:
    tag = f"cp{sys.version_info.major}{sys.version_info.minor}"
    make_wheel(tiny.wheels, "torch", "9.9+cpu", f"{tag}-{tag}-linux_{platform.machine()}")
    tiny.define(
        "torch==9.9+cpu\n", torch_backend="cpu", versions={"torch": "9.9+cpu"}, python=tag[2] + "." + tag[3:]
    )
    assert find_installed(tiny.runtime, tiny.root) is None
    assert tiny.build().is_dir()


def test_two_builds_at_once_make_one(tiny: Tiny) -> None:
    folders: list[Path] = []
    builds = [threading.Thread(target=lambda: folders.append(tiny.build())) for _ in range(2)]
    for thread in builds:
        thread.start()
    for thread in builds:
        thread.join()
    assert folders[0] == folders[1]
    assert len([line for line in tiny.lines if line.startswith("Building")]) == 1
    assert any(line.startswith("Waiting for another build") for line in tiny.lines)


def test_in_a_log_uv_writes_plain_lines(tiny: Tiny) -> None:
    tiny.build()
    output = "\n".join(tiny.lines)
    assert "Installed 1 package" in output
    assert "tiny==1.0" not in output, "the lock file has the list already"
    assert "\x1b" not in output


def test_on_a_terminal_uv_draws_for_itself(tiny: Tiny, capfd: pytest.CaptureFixture[str]) -> None:
    tiny.build(terminal=True, CLICOLOR_FORCE="1")
    shown = capfd.readouterr().err
    assert "Installed \x1b[1m1 package" in shown
    assert "1.0" not in shown, "the list of packages"
    assert not [line for line in tiny.lines if "Installed" in line]

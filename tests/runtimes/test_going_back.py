"""Old builds: going back to one, going forward again, and throwing away what nothing runs from."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sparkd.errors import RuntimeNotFound
from sparkd.runtimes import find_installed, list_builds, roll_back
from sparkd.runtimes.pruning import PruneResult, find_processes_using, prune, remove_stale_caches
from tests.runtimes.tiny import Tiny


@pytest.fixture
def tiny(tmp_path: Path) -> Tiny:
    return Tiny(tmp_path)


def three_builds(tiny: Tiny) -> list[Path]:
    """Builds of three definitions, the oldest first; the last is how it is defined now."""
    folders = []
    for words in ("one", "two", "three"):
        tiny.define(tiny.lock, description=words)
        folders.append(tiny.build())
    return folders


def test_one_goes_back_build_by_build(tiny: Tiny) -> None:
    one, two, now = three_builds(tiny)
    assert roll_back(tiny.runtime, tiny.root)[0] == now
    assert find_installed(tiny.runtime, tiny.root) == two
    left, back = roll_back(tiny.runtime, tiny.root)
    assert (left, back.folder) == (two, one)
    assert find_installed(tiny.runtime, tiny.root) == one


def test_there_must_be_a_build_to_go_back_to(tiny: Tiny) -> None:
    with pytest.raises(RuntimeNotFound, match="runtime 'tiny' has no build to roll back to"):
        roll_back(tiny.runtime, tiny.root)
    only = tiny.build()
    with pytest.raises(RuntimeNotFound, match=f"has no build older than {only.name}"):
        roll_back(tiny.runtime, tiny.root)
    assert find_installed(tiny.runtime, tiny.root) == only


def test_a_build_whose_python_is_gone_is_passed_over(tiny: Tiny) -> None:
    one, two, _ = three_builds(tiny)
    (two / "bin" / "python").unlink()
    assert roll_back(tiny.runtime, tiny.root)[1].folder == one


def test_building_goes_forward_again(tiny: Tiny) -> None:
    *_, now = three_builds(tiny)
    roll_back(tiny.runtime, tiny.root)
    assert tiny.build() == now
    assert find_installed(tiny.runtime, tiny.root) == now
    assert tiny.lines[-1] == "It was rolled back. Engines use it again from their next start."
    roll_back(tiny.runtime, tiny.root)
    tiny.define(tiny.lock, description="four")
    assert find_installed(tiny.runtime, tiny.root) != now, "until it is built, the rollback remains"
    assert tiny.build() == find_installed(tiny.runtime, tiny.root)


def test_a_definition_that_was_never_built_is_rolled_back_to_what_was(tiny: Tiny) -> None:
    *_, now = three_builds(tiny)
    tiny.define(tiny.lock, description="four")
    assert find_installed(tiny.runtime, tiny.root) is None
    assert roll_back(tiny.runtime, tiny.root) == (None, list_builds(tiny.root)[-1])
    assert find_installed(tiny.runtime, tiny.root) == now


@pytest.mark.parametrize("note", [b"", b"nowhere", b"../..", b"\xff\xfe\x00", b"x" * 5000])
def test_a_note_that_leads_nowhere_is_as_none(tiny: Tiny, note: bytes) -> None:
    *_, now = three_builds(tiny)
    roll_back(tiny.runtime, tiny.root)
    (tiny.root / ".rolled-back" / "tiny").write_bytes(note)
    assert find_installed(tiny.runtime, tiny.root) == now


def test_a_build_one_had_gone_back_to_may_be_removed_by_hand(tiny: Tiny) -> None:
    _, two, now = three_builds(tiny)
    roll_back(tiny.runtime, tiny.root)
    two.rename(tiny.place / "elsewhere")
    assert find_installed(tiny.runtime, tiny.root) == now


def test_the_current_and_the_previous_build_are_kept(tiny: Tiny) -> None:
    one, two, now = three_builds(tiny)
    assert prune([tiny.runtime], tiny.root) == PruneResult(removed=(one,), in_use={})
    assert [build.folder for build in list_builds(tiny.root)] == [two, now]
    assert not one.exists()
    assert prune([tiny.runtime], tiny.root).removed == ()


def test_all_means_all_but_the_current_one(tiny: Tiny) -> None:
    one, two, now = three_builds(tiny)
    (tiny.root / ".steps").mkdir()
    assert prune([tiny.runtime], tiny.root, everything=True).removed == (one, two)
    assert sorted(path.name for path in tiny.root.iterdir()) == [".lock", now.name]


def test_one_that_was_rolled_back_keeps_the_way_forward(tiny: Tiny) -> None:
    one, two, now = three_builds(tiny)
    roll_back(tiny.runtime, tiny.root)
    assert prune([tiny.runtime], tiny.root).removed == ()
    assert prune([tiny.runtime], tiny.root, everything=True).removed == (one,)
    assert [build.folder for build in list_builds(tiny.root)] == [two, now]


def test_builds_of_another_catalogue_s_runtimes_go_with_all_only(tiny: Tiny) -> None:
    folders = three_builds(tiny)
    assert prune([], tiny.root).removed == ()
    assert prune([], tiny.root, everything=True).removed == tuple(folders)


def test_the_newest_build_stays_where_the_present_definition_is_not_built(tiny: Tiny) -> None:
    one, two, newest = three_builds(tiny)
    tiny.define(tiny.lock, description="four")
    assert prune([tiny.runtime], tiny.root).removed == (one,)
    assert prune([tiny.runtime], tiny.root, everything=True).removed == (two,)
    assert [build.folder for build in list_builds(tiny.root)] == [newest]


def test_there_may_be_nothing_to_prune(tiny: Tiny) -> None:
    assert prune([tiny.runtime], tiny.root, everything=True) == PruneResult(removed=(), in_use={})
    assert not tiny.root.exists()


@contextmanager
def running(*argv: str | Path, environ: dict[str, str]) -> Iterator[int]:
    process = subprocess.Popen(argv, env=environ, cwd="/", stdout=subprocess.PIPE)
    assert process.stdout
    try:
        process.stdout.readline()
        yield process.pid
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


FOREVER = "import time; print(flush=True); time.sleep(60)"


def test_a_build_that_an_engine_runs_from_is_kept_until_it_has_ended(tiny: Tiny) -> None:
    one, two, _ = three_builds(tiny)
    with running(one / "bin" / "python", "-c", FOREVER, environ={}) as pid:
        assert prune([tiny.runtime], tiny.root, everything=True) == PruneResult(
            removed=(two,), in_use={str(one): (pid,)}
        )
    assert prune([tiny.runtime], tiny.root, everything=True).removed == (one,)


def test_an_engine_s_children_are_seen_by_their_environment(tiny: Tiny) -> None:
    folder = tiny.build()
    with running(sys.executable, "-c", FOREVER, environ={"VIRTUAL_ENV": str(folder)}) as pid:
        assert find_processes_using([folder, tiny.root / "other"]) == {folder: (pid,)}


def test_an_engine_is_seen_by_its_libraries_when_it_has_renamed_itself(tiny: Tiny) -> None:
    folder = tiny.build()
    library = folder / "lib" / "libtiny.so"
    subprocess.run(["cc", "-shared", "-x", "c", "-", "-o", library], input=b"int x;", check=True)
    # The command line and the environment that the kernel shows are the process's own to overwrite; a shell's is short.
    program = f"import ctypes, sys; ctypes.CDLL(sys.stdin.readline()); {FOREVER}"
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={}, cwd="/"
    )
    assert process.stdin
    assert process.stdout
    with process, process.stdin, process.stdout:
        process.stdin.write(str(library).encode())
        process.stdin.close()
        process.stdout.readline()
        assert find_processes_using([folder]) == {folder: (process.pid,)}
        process.kill()


def test_a_build_is_found_in_use_also_where_a_link_leads_to_it(tiny: Tiny) -> None:
    folder = tiny.build()
    link = tiny.place / "link"
    link.symlink_to(tiny.root)
    with running(folder / "bin" / "python", "-c", FOREVER, environ={}) as pid:
        assert find_processes_using([link / folder.name]) == {link / folder.name: (pid,)}


def test_a_prune_does_not_count_its_own_process(tiny: Tiny) -> None:
    folder = tiny.build()
    code = (
        "import sys; from pathlib import Path; from sparkd.runtimes.pruning import find_processes_using;"
        "print(find_processes_using([Path(sys.argv[1])]))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, f"{folder}/"], check=True, capture_output=True, text=True
    )
    assert ran.stdout == "{}\n"


def test_rebuilding_disturbs_nothing_that_runs_from_the_old_build(tiny: Tiny) -> None:
    old = tiny.build()
    with running(old / "bin" / "python", "-c", FOREVER, environ={}) as pid:
        tiny.define(tiny.lock, description="changed")
        tiny.build()
        assert old.is_dir()
        assert Path(f"/proc/{pid}/exe").exists()


def test_caches_of_builds_that_are_gone_go_too(tiny: Tiny) -> None:
    folder = tiny.build()
    cache = tiny.place / "cache"
    for name in (folder.name, "tiny-0123456789ab", "by-hand"):
        (cache / name).mkdir(parents=True)
    assert remove_stale_caches(tiny.root, cache) == [cache / "tiny-0123456789ab"]
    assert sorted(path.name for path in cache.iterdir()) == ["by-hand", folder.name]
    assert remove_stale_caches(tiny.root, tiny.place / "absent") == []

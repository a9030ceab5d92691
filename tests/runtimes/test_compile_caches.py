"""Damaged compile caches are found, and moved away without losing anything."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sparkd.engines.engine import Cause
from sparkd.runtimes.compile_caches import (
    MovedCaches,
    find_damaged_file,
    move_broken_caches,
    move_caches,
)

NOW = 1795853478.0
SUFFIX = ".broken-20261128T081118"
UNKNOWN = Cause("unknown", "the engine failed (exit code 1).")
CACHES = (
    "vllm/torch_compile_cache/torch_aot_compile/b2e6",
    "torchinductor/gg",
    "triton/XU5D",
    ".cache/flashinfer/0.6.4/121a/cached_ops/norm",
    "huggingface_modules/transformers_modules/org",
)
OTHERS = ("vllm/modelinfos", ".cache/flashinfer/cubins", "config/vllm", "cuda")
LIBRARY = Path(next(path for path in sys.path if path.endswith("lib-dynload")))


@pytest.fixture
def caches(tmp_path: Path) -> Path:
    """Return the caches of a build, with intact files of each kind."""
    folder = tmp_path / "cpu-0123456789ab"
    for name in (*CACHES, *OTHERS):
        (folder / name).mkdir(parents=True)
        (folder / name / "source.py").write_text("def call(args): ...\n")
        (folder / name / "__init__.py").touch()
        (folder / name / "kernel.json").write_text(json.dumps({"num_warps": 4}))
        (folder / name / "kernel.lock").touch()
        shutil.copyfile(next(LIBRARY.glob("_json*.so")), folder / name / "kernel.so")
    return folder


def empty(path: Path) -> None:
    path.write_bytes(b"")


def fill_with_zeros(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def cut_off(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def fill_end_with_zeros(path: Path) -> None:
    size = path.stat().st_size
    cut_off(path)
    os.truncate(path, size)


DAMAGES = [
    *(
        (name, damage)
        for name in ("kernel.so", "kernel.json")
        for damage in (empty, fill_with_zeros, cut_off)
    ),
    *((name, fill_end_with_zeros) for name in ("kernel.so", "kernel.json", "source.py")),
    *(("source.py", damage) for damage in (empty, fill_with_zeros)),
]


@pytest.mark.parametrize(("name", "damage"), DAMAGES)
@pytest.mark.parametrize("cache", CACHES)
def test_a_damaged_file_is_found(caches: Path, cache: str, name: str, damage: Callable[[Path], None]) -> None:
    damage(caches / cache / name)
    assert find_damaged_file(caches) == caches / cache / name


@pytest.mark.parametrize("cache", OTHERS)
def test_files_outside_compile_caches_are_not_checked(caches: Path, cache: str) -> None:
    empty(caches / cache / "kernel.json")
    assert find_damaged_file(caches) is None


def test_real_object_files_are_intact(caches: Path) -> None:
    for library in sorted(LIBRARY.glob("*.so")):
        shutil.copyfile(library, caches / "torchinductor" / library.name)
    (caches / "triton" / "other.so").write_bytes(b"\x7fELF\x01\x02" + bytes(60))  # of another architecture
    assert find_damaged_file(caches) is None


def test_caches_are_moved_and_nothing_else(caches: Path) -> None:
    for cache in (*CACHES, *OTHERS):
        (caches / cache / "mark").write_text(cache)
    assert sorted(path.relative_to(caches).as_posix() for path in move_caches(caches, NOW)) == [
        f".cache/flashinfer/0.6.4{SUFFIX}",
        f"huggingface_modules{SUFFIX}",
        f"torchinductor{SUFFIX}",
        f"triton{SUFFIX}",
        f"vllm/torch_compile_cache{SUFFIX}",
    ]
    assert sorted(path.read_text() for path in caches.rglob("mark")) == sorted((*CACHES, *OTHERS))
    assert all((caches / name / "mark").exists() for name in OTHERS)
    assert not any((caches / name).exists() for name in CACHES)


def test_only_the_caches_that_were_moved_last_are_kept(caches: Path) -> None:
    assert len(move_caches(caches, NOW - 86400)) == len(CACHES)
    assert move_caches(caches, NOW) == []
    by_hand = caches / "triton.broken-by-hand"
    for folder in (caches / "triton", by_hand):
        folder.mkdir()
    assert move_caches(caches, NOW) == [caches / f"triton{SUFFIX}"]
    assert sorted(caches.rglob("*.broken-*")) == sorted([by_hand, caches / f"triton{SUFFIX}"])


def test_a_failed_start_moves_damaged_caches(caches: Path) -> None:
    line = f"ImportError: {caches}/triton/XU5D/kernel.so: undefined symbol: cuLaunchKernel"
    moved = move_broken_caches(caches, [line], UNKNOWN, NOW)
    assert moved is not None
    assert moved.evidence == line
    assert len(moved.folders) == len(CACHES)


def test_a_crash_without_a_message_moves_caches_with_a_damaged_file(caches: Path) -> None:
    lines = ["Worker proc VllmWorker-0 died unexpectedly (exit code: -7)"]
    assert move_broken_caches(caches, lines, UNKNOWN, NOW) is None
    cut_off(caches / "torchinductor" / "gg" / "kernel.so")
    moved = move_broken_caches(caches, lines, UNKNOWN, NOW)
    assert isinstance(moved, MovedCaches)
    assert moved.evidence == f"{caches}/torchinductor/gg/kernel.so is damaged"


def test_an_explained_failure_leaves_damaged_caches_in_place(caches: Path) -> None:
    empty(caches / "triton" / "XU5D" / "kernel.json")
    assert (
        move_broken_caches(caches, [], Cause("out_of_memory", "the engine ran out of memory."), NOW) is None
    )
    assert move_broken_caches(caches, [], Cause("disk_full", "the disk is full."), NOW) is None
    assert (caches / "triton").is_dir()


def test_without_caches_there_is_nothing_to_try_again(tmp_path: Path) -> None:
    line = f"FileNotFoundError: [Errno 2] No such file or directory: '{tmp_path}/triton/XU5D/kernel.json'"
    assert move_broken_caches(tmp_path, [line], UNKNOWN, NOW) is None
    assert move_broken_caches(tmp_path / "absent", [line], UNKNOWN, NOW) is None


def test_a_link_to_the_state_folder_is_followed(caches: Path) -> None:
    link = caches.parent / "link"
    link.symlink_to(caches)
    line = f"ImportError: {caches}/triton/XU5D/kernel.so: file too short"
    assert move_broken_caches(link, [line], UNKNOWN, NOW) is not None


def test_a_cache_that_cannot_be_renamed_raises(caches: Path) -> None:
    (caches / f"vllm/torch_compile_cache{SUFFIX}").write_text("a file with this name")
    with pytest.raises(OSError, match="torch_compile_cache"):
        move_caches(caches, NOW)
    assert (caches / "triton").is_dir()


def test_a_process_that_uses_a_cache_continues(caches: Path) -> None:
    """It has mapped a library and opened a file. What it writes by name from now on is in a new cache."""
    code = """
import ctypes, pathlib, sys
folder = pathlib.Path(sys.argv[1])
library = ctypes.PyDLL(str(folder / "kernel.so"))
file = open(folder / "source.py")
print("ready", flush=True)
sys.stdin.readline()
assert library.PyInit__json and "call" in file.read()
folder.mkdir(parents=True)
(folder / "later.py").write_text("def call(args): ...")
print("done", flush=True)
"""
    folder = caches / "torchinductor" / "gg"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        move_caches(caches, NOW)
        assert process.communicate("\n")[0] == "done\n"
    assert [path.name for path in folder.iterdir()] == ["later.py"]

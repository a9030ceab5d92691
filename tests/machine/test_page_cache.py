"""Weight files are dropped from the page cache without privileges; the whole page cache only if that is allowed."""

from __future__ import annotations

import ctypes
import mmap
import os
from pathlib import Path

from sparkd.machine.page_cache import drop_files, drop_page_cache, weights_path

MIB = 1024**2


def count_cached_pages(path: Path) -> int:
    """Return the bytes of the file that are in the page cache: mincore(2)."""
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
        pages = len(mapped) // mmap.PAGESIZE
        residency = (ctypes.c_ubyte * pages)()
        buffer = ctypes.c_char.from_buffer(mapped)
        address = ctypes.addressof(buffer)
        assert (
            ctypes.CDLL(None).mincore(ctypes.c_void_p(address), ctypes.c_size_t(len(mapped)), residency) == 0
        )
        del buffer
    return sum(page & 1 for page in residency) * mmap.PAGESIZE


def write(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(os.urandom(4 * MIB))
        os.fsync(file.fileno())
    return path


def test_weights_are_dropped_from_the_page_cache_and_other_files_stay(tmp_path: Path) -> None:
    weights = write(tmp_path / "model" / "snapshots" / "model-00001-of-00002.safetensors")
    other = write(tmp_path / "model" / "notes.txt")
    assert count_cached_pages(weights) == count_cached_pages(other) == 4 * MIB
    assert drop_files([tmp_path / "model", tmp_path / "not there"]) == 4 * MIB
    assert count_cached_pages(weights) == 0
    assert count_cached_pages(other) == 4 * MIB


def test_a_model_that_is_a_single_file_is_dropped_too(tmp_path: Path) -> None:
    weights = write(tmp_path / "model.gguf")
    assert drop_files([weights]) == 4 * MIB
    assert count_cached_pages(weights) == 0


def test_where_a_models_files_are(tmp_path: Path) -> None:
    assert weights_path("/models/qwen", tmp_path) == Path("/models/qwen")
    repository = tmp_path / "huggingface" / "hub" / "models--Qwen--Qwen3-0.6B"
    assert weights_path("Qwen/Qwen3-0.6B", tmp_path) == repository
    assert weights_path(None, tmp_path) is None


def test_dropping_everything_is_one_write_to_the_kernels_switch(tmp_path: Path) -> None:
    switch = tmp_path / "drop_caches"
    assert drop_page_cache(switch)
    assert switch.read_text() == "3"
    assert not drop_page_cache(tmp_path / "not there" / "drop_caches")

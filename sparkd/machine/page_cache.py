"""Frees page cache before a model loads: file by file, or all of it if sparkd may.

CUDA on a GB10 counts page cache as used. posix_fadvise(POSIX_FADV_DONTNEED) drops one file's clean pages and needs no
privileges. /proc/sys/vm/drop_caches (the kernel's Documentation/admin-guide/sysctl/vm.rst) drops the whole page cache
and needs root.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

WEIGHTS: Final = (".safetensors", ".gguf", ".bin", ".pt", ".pth")
DROP_CACHES: Final = Path("/proc/sys/vm/drop_caches")
DROP_EVERYTHING: Final = "3"
"""Page cache, dentries and inodes."""


def drop_files(folders: Iterable[Path]) -> int:
    """Drop the weight files below these folders from the page cache; return the files' size in bytes.

    Pages that a process has mapped stay. Blocks for some milliseconds per file.
    """
    released = 0
    for path in _find_weight_files(folders):
        with suppress(OSError):
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
                released += os.fstat(descriptor).st_size
            finally:
                os.close(descriptor)
    return released


def drop_page_cache(switch: Path = DROP_CACHES) -> bool:
    """Write dirty pages to disk, then drop the whole page cache. Return False if not permitted. Blocks for seconds."""
    with suppress(OSError):
        os.sync()
        switch.write_text(DROP_EVERYTHING)
        return True
    return False


def weights_path(source: str | None, models: Path) -> Path | None:
    """Return the path of a model's files: its folder, or its repository in Hugging Face's cache below `models`."""
    if source is None:
        return None
    if source.startswith("/"):
        return Path(source)
    return models / "huggingface" / "hub" / f"models--{source.replace('/', '--')}"


def _find_weight_files(folders: Iterable[Path]) -> Iterator[Path]:
    for folder in folders:
        if folder.is_file():
            yield folder
        for folder_path, _, names in os.walk(folder):
            yield from (Path(folder_path, name) for name in names if name.endswith(WEIGHTS))

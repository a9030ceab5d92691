"""Reads /proc/meminfo, with NVIDIA's formula for machines whose CPU and GPU share one memory.

From NVIDIA's DGX Spark documentation ("Known issues", on `nvidia-smi` and memory reporting): if hugepages are
reserved, the available memory is HugePages_Free x Hugepagesize and nothing more; otherwise it is MemAvailable. NVIDIA
adds SwapFree. sparkd does not count it: a machine that swaps its GPU's memory is already frozen.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from msgspec import Struct

from sparkd.errors import ProbeError

MEMINFO: Final = Path("/proc/meminfo")


class Meminfo(Struct, frozen=True):
    """The host's memory, in bytes. `free` excludes the page cache, which CUDA on a GB10 counts as used."""

    total: int
    available: int
    free: int


def read_meminfo(path: Path = MEMINFO) -> Meminfo:
    """Read the file. Takes about 50 microseconds and never blocks. Raises ProbeError."""
    try:
        return parse_meminfo(path.read_text())
    except OSError as error:
        raise ProbeError(f"cannot read {path}: {error.strerror}") from error


def parse_meminfo(text: str) -> Meminfo:
    """Parse the file's text. Raises ProbeError if a field is missing or is not a number."""
    try:
        fields = {
            name: int(rest.split()[0]) for name, _, rest in map(_split_field, text.splitlines()) if rest
        }
        total, free = fields["MemTotal"] * 1024, fields["MemFree"] * 1024
        available = fields["MemAvailable"] * 1024
        if fields.get("HugePages_Total", 0) > 0:
            available = fields["HugePages_Free"] * fields["Hugepagesize"] * 1024
    except (KeyError, ValueError, IndexError) as error:
        raise ProbeError(f"cannot parse /proc/meminfo: {error}") from error
    return Meminfo(total, available, free)


def _split_field(line: str) -> tuple[str, str, str]:
    return line.partition(":")

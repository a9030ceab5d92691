"""/proc/meminfo, read by NVIDIA's formula for machines whose memory CPU and GPU share.

From NVIDIA's DGX Spark documentation ("Known issues", on `nvidia-smi` and memory reporting): with hugepages set
aside, what is available is HugePages_Free x Hugepagesize, and nothing else; without, it is MemAvailable. SwapFree
is extra there and is not counted here: a machine that swaps its GPU's memory has frozen already.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from msgspec import Struct

from sparkd.errors import ProbeError

MEMINFO: Final = Path("/proc/meminfo")


class Meminfo(Struct, frozen=True):
    """The host's memory, in bytes. `free` lacks the page cache, which CUDA on a GB10 counts as used."""

    total: int
    available: int
    free: int


def read_meminfo(path: Path = MEMINFO) -> Meminfo:
    """Read the file: some 50 microseconds, and never waiting for anybody. Raises ProbeError."""
    try:
        return parse_meminfo(path.read_text())
    except OSError as error:
        raise ProbeError(f"cannot read {path}: {error.strerror}") from error


def parse_meminfo(text: str) -> Meminfo:
    """Return what the text says. Raises ProbeError where it is not the kernel's."""
    try:
        found = {name: int(rest.split()[0]) for name, _, rest in map(_split_field, text.splitlines()) if rest}
        total, free = found["MemTotal"] * 1024, found["MemFree"] * 1024
        available = found["MemAvailable"] * 1024
        if found.get("HugePages_Total", 0) > 0:
            available = found["HugePages_Free"] * found["Hugepagesize"] * 1024
    except (KeyError, ValueError, IndexError) as error:
        raise ProbeError(f"/proc/meminfo is not as expected: {error}") from error
    return Meminfo(total, available, free)


def _split_field(line: str) -> tuple[str, str, str]:
    return line.partition(":")

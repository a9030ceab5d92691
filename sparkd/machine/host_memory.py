"""Measures the host memory that processes use, when some of them share memory because they are forks of one process.

RssAnon of proc_pid_status(5) is cheap to read, but counts a page that two forks share twice. Pss_Anon of
/proc/PID/smaps_rollup divides it between them, but the kernel has to walk the whole page table. So the difference of
the two is measured now and then, and subtracted in between.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from msgspec import Struct

SHARED_INTERVAL: Final = 30.0
"""Seconds between two measurements of what a process shares. A fork copies shared pages as it writes to them."""

MAX_WALK: Final = 4 * 1024**3
"""Bytes of anonymous memory above which the page table is not walked again, because it takes too long. What forks of a
launcher share is little beside that."""


class HostMemoryMeter:
    """Measures processes, and remembers what each of them shares. Used by one thread."""

    def __init__(self) -> None:
        self._shared: dict[int, _SharedMemory] = {}

    def measure(self, pids: Iterable[int]) -> int:
        """Return the bytes of host memory that stay allocated while these processes live.

        That is anonymous and shared memory. Mapped files (weights, programs) are page cache, which the kernel reclaims
        when it needs memory. Processes of one engine share their shared memory, so only the largest value counts.
        """
        anonymous, shared, now = 0, 0, time.monotonic()
        for pid in pids:
            with suppress(OSError, ValueError, IndexError):  # the process has exited
                fields = _read_sizes(Path(f"/proc/{pid}/status"), ("RssAnon:", "RssShmem:"))
                own = fields.get("RssAnon", 0)
                anonymous += max(0, own - self._measure_shared(pid, own, now))
                shared = max(shared, fields.get("RssShmem", 0))
        self._forget_exited(now)
        return anonymous + shared

    def _measure_shared(self, pid: int, own: int, now: float) -> int:
        """Return the bytes of this process's anonymous memory that other processes account for."""
        known = self._shared.get(pid)
        if known is None or (now >= known.measured_at + SHARED_INTERVAL and own <= MAX_WALK):
            share = _read_sizes(Path(f"/proc/{pid}/smaps_rollup"), ("Pss_Anon:",)).get("Pss_Anon", own)
            known = self._shared[pid] = _SharedMemory(max(0, own - share), now)
        known.used_at = now
        return known.bytes

    def _forget_exited(self, now: float) -> None:
        for pid in [pid for pid, shared in self._shared.items() if now > shared.used_at + SHARED_INTERVAL]:
            del self._shared[pid]


def read_anonymous_memory(pid: int) -> int:
    """Return the bytes of a process's anonymous memory, including what it shares; 0 if it has exited. Never waits."""
    with suppress(OSError, ValueError, IndexError):
        return _read_sizes(Path(f"/proc/{pid}/status"), ("RssAnon:",)).get("RssAnon", 0)
    return 0


class _SharedMemory(Struct):
    """Bytes that a process shares. Times are in seconds of the steady clock."""

    bytes: int
    measured_at: float
    used_at: float = 0.0


def _read_sizes(path: Path, wanted: tuple[str, ...]) -> dict[str, int]:
    """Return the fields of a file in /proc whose lines are `Name: N kB`, in bytes."""
    lines = (line.split() for line in path.read_text().splitlines() if line.startswith(wanted))
    return {name.rstrip(":"): int(kilobytes) * 1024 for name, kilobytes, *_ in lines}

"""The machine's memory now: what there is, what is available, and what each process has of it.

Three kinds of machine. *unified*: CPU and GPU share one memory (GB10); NVML tells little, /proc/meminfo everything.
*separate*: models live in the GPU's own memory, and the host's is watched beside it. *host*: no GPU.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal

from msgspec import Struct, field

from sparkd.machine.meminfo import MEMINFO, Meminfo, read_meminfo
from sparkd.machine.nvml import Gpu, Nvml

Kind = Literal["unified", "separate", "host"]

SAME_MEMORY_RATIO: Final = (0.9, 1.02)
"""A GPU whose total is this share of MemTotal has no memory of its own. The upper bound keeps an H200 (139 GiB) in a
host of 128 GiB from being taken for one; GB10's driver, where it answers at all, says MemTotal exactly."""

UNIFIED_NAMES: Final = ("GB10", "Thor", "Orin")
"""NVIDIA's chips with unified memory, by the names NVML gives them."""


class Memory(Struct, frozen=True):
    """One look, in bytes.

    `total` and `available` speak of the memory that models live in; `available` is None where the GPU that has it
    does not answer just now. `host_available` is the host's, `free` what of it is not even page cache.
    `processes` is GPU memory by PID.
    """

    kind: Kind
    total: int
    available: int | None
    host_total: int
    host_available: int
    free: int
    processes: Mapping[int, int] = field(default_factory=dict)

    @property
    def scarcest(self) -> int:
        """What is available where it is scarcest: what the guard watches."""
        return self.host_available if self.available is None else min(self.available, self.host_available)

    def used_by(self, pids: Iterable[int]) -> int:
        """Bytes that these processes have of the memory that models live in."""
        process_ids = list(pids)
        on_gpu = sum(self.processes.get(pid, 0) for pid in process_ids)
        return on_gpu if self.kind == "separate" else on_gpu + measure_host_memory(process_ids)


class MemoryProbe:
    """Looks at this machine. Remembers its kind: a driver that is gone for a moment does not change the hardware."""

    def __init__(self, meminfo: Path = MEMINFO, nvml: Nvml | None = None) -> None:
        self._meminfo = meminfo
        self._nvml = nvml or Nvml()
        self._separate_total: int | None = None
        self._unified = False

    def read(self) -> Memory:
        """Look at everything. Waits for the GPU's driver. Raises ProbeError."""
        gpu = self._nvml.read()
        return self._combine(read_meminfo(self._meminfo), gpu)

    def read_host(self) -> Memory:
        """Look at the host alone, as if the GPU's driver did not answer; never waits. Raises ProbeError."""
        return self._combine(read_meminfo(self._meminfo), None)

    def close(self) -> None:
        """Let go of the driver."""
        self._nvml.close()

    def _combine(self, host: Meminfo, gpu: Gpu | None) -> Memory:
        if gpu is not None:
            if is_unified(gpu, host.total):
                self._unified = True
            else:
                self._separate_total = gpu.total
        processes = gpu.processes if gpu else {}
        if self._separate_total is not None:
            free = gpu.free if gpu else None
            return Memory(
                "separate", self._separate_total, free, host.total, host.available, host.free, processes
            )
        kind: Kind = "unified" if self._unified else "host"
        return Memory(kind, host.total, host.available, host.total, host.available, host.free, processes)


def is_unified(gpu: Gpu, host_total: int) -> bool:
    """Whether the GPU's memory is the host's."""
    if gpu.total is None or any(name in gpu.name for name in UNIFIED_NAMES):
        return True
    return SAME_MEMORY_RATIO[0] * host_total <= gpu.total <= SAME_MEMORY_RATIO[1] * host_total


def measure_host_memory(pids: Iterable[int]) -> int:
    """Bytes of host memory that cannot be had back while these processes live: anonymous, and shared once.

    Files they have mapped (weights, programs) are page cache, which the kernel takes back when it needs to.
    Processes of one engine share their shared memory, so the largest share counts. Fields: proc_pid_status(5).
    """
    anonymous, shared = 0, 0
    for pid in pids:
        with suppress(OSError, ValueError, IndexError):  # it has ended meanwhile
            found = _read_status(pid)
            anonymous += found.get("RssAnon", 0)
            shared = max(shared, found.get("RssShmem", 0))
    return anonymous + shared


def _read_status(pid: int) -> dict[str, int]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    wanted = (line.split() for line in lines if line.startswith(("RssAnon:", "RssShmem:")))
    return {name.rstrip(":"): int(kilobytes) * 1024 for name, kilobytes, *_ in wanted}

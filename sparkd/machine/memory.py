"""Reads the machine's memory: its total, what is available, and what each process uses.

There are three kinds of machine. *unified*: CPU and GPU share one memory (GB10); NVML reports little, /proc/meminfo
everything. *separate*: models use the GPU's own memory, and the host's memory is watched too. *host*: no GPU.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, Literal

from msgspec import Struct, field

from sparkd.machine.host_memory import HostMemoryMeter
from sparkd.machine.meminfo import MEMINFO, Meminfo, read_meminfo
from sparkd.machine.nvml import Gpu, Nvml

Kind = Literal["unified", "separate", "host"]

SAME_MEMORY_RATIO: Final = (0.9, 1.02)
"""If a GPU's total is within this share of MemTotal, it has no memory of its own. The upper bound excludes an H200
(139 GiB) in a host of 128 GiB. GB10's driver, if it reports a total, reports exactly MemTotal."""

UNIFIED_NAMES: Final = ("GB10", "Thor", "Orin")
"""Names in NVML of NVIDIA's chips with unified memory."""


class Memory(Struct, frozen=True):
    """One reading, in bytes.

    `total` and `available` describe the memory that models use. `available` is None while the GPU that has this memory
    does not answer. `host_available` is the host's available memory; `free` is the part of the host's memory that is
    not even used as page cache. `processes` is GPU memory by PID.
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
        """The smaller of the available GPU and host memory. The memory guard watches it."""
        return self.host_available if self.available is None else min(self.available, self.host_available)

    def used_by(self, pids: Iterable[int], host: HostMemoryMeter) -> int:
        """Return the bytes that these processes use of the memory that models use. `host` measures the host's."""
        process_ids = list(pids)
        on_gpu = sum(self.processes.get(pid, 0) for pid in process_ids)
        return on_gpu if self.kind == "separate" else on_gpu + host.measure(process_ids)


class MemoryProbe:
    """Reads this machine's memory. Remembers its kind, because the hardware stays when a driver becomes unreachable."""

    def __init__(self, meminfo: Path = MEMINFO, nvml: Nvml | None = None) -> None:
        self._meminfo = meminfo
        self._nvml = nvml or Nvml()
        self._separate_total: int | None = None
        self._unified = False

    def read(self) -> Memory:
        """Read host and GPU memory. Waits for the GPU's driver. Raises ProbeError."""
        gpu = self._nvml.read()
        return self._combine(read_meminfo(self._meminfo), gpu)

    def read_host(self) -> Memory:
        """Read only the host's memory, as if the GPU's driver did not answer. Never waits. Raises ProbeError."""
        return self._combine(read_meminfo(self._meminfo), None)

    def close(self) -> None:
        """Close the connection to the driver."""
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
    """Return whether the GPU uses the host's memory."""
    if gpu.total is None or any(name in gpu.name for name in UNIFIED_NAMES):
        return True
    return SAME_MEMORY_RATIO[0] * host_total <= gpu.total <= SAME_MEMORY_RATIO[1] * host_total

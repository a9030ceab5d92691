"""Reads the GPU from NVIDIA's management library (NVML), through pynvml (distribution nvidia-ml-py).

A driver may be absent, be reloaded, or return only errors. A GPU may not report its memory (GB10:
NVML_ERROR_NOT_SUPPORTED). None of this raises an exception here: an unknown value is None, and is read again later.
A call takes as long as the driver needs, so code on an event loop must call from a thread.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from ctypes import CDLL
from typing import Any, Final, TypeVar

from msgspec import Struct, field

logger = logging.getLogger(__name__)

T = TypeVar("T")

LIBRARY: Final = "libnvidia-ml.so.1"
"""The file name of NVML's library. Every driver installs it under this name, and pynvml loads it."""

RETRY_INTERVAL: Final = 10.0
"""Seconds between two attempts to reach an absent driver: it may be loaded or reloaded at any time."""


class Gpu(Struct, frozen=True):
    """The first GPU, in bytes. `total` and `free` are None if it does not report them; `processes` is by PID."""

    name: str
    total: int | None
    free: int | None
    processes: Mapping[int, int] = field(default_factory=dict)


class Nvml:
    """NVML, opened at the first reading and again after an error. `logs`: report why no GPU answers."""

    def __init__(self, *, logs: bool = True) -> None:
        self._logs = logs
        self._library: Any = None
        self._retry_at = 0.0
        self._last_reason = ""

    def read(self) -> Gpu | None:
        """Return the first GPU's memory. None if no GPU answers."""
        return self.query(self._read_memory)

    def query(self, read: Callable[[Any, Any], T]) -> T | None:
        """Return what `read` returns for pynvml and the handle of the first GPU. None if no GPU answers.

        `read` handles what the GPU does not support. Any other error closes the library, which is opened again later.
        """
        if self._library is None and not self._open():
            return None
        pynvml = self._library
        try:
            return read(pynvml, pynvml.nvmlDeviceGetHandleByIndex(0))
        except pynvml.NVMLError as error:
            self._disconnect(f"NVML stopped answering: {error}; retrying every {RETRY_INTERVAL:.0f} seconds")
            return None

    def close(self) -> None:
        """Close the library."""
        if self._library is not None:
            with suppress(self._library.NVMLError):
                self._library.nvmlShutdown()
            self._library = None

    def _open(self) -> bool:
        if time.monotonic() < self._retry_at:
            return False
        if not self._has_library():
            return False
        # Imported late: only machines with a GPU need its 250 kB of Python, and a quick start must not wait for it.
        import pynvml  # type: ignore[import-untyped]  # noqa: PLC0415

        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError as error:
            self._disconnect(f"NVML finds no GPU: {error}")
            return False
        self._library = pynvml
        self._last_reason = ""
        return True

    def _has_library(self) -> bool:
        """Return whether a driver has installed the library. This check avoids importing pynvml, which takes 80 ms."""
        try:
            CDLL(LIBRARY)
        except OSError:
            self._disconnect(f"no GPU: {LIBRARY} is not installed")
            return False
        return True

    def _disconnect(self, reason: str) -> None:
        """Log the reason once, and reopen the library later."""
        self.close()
        self._retry_at = time.monotonic() + RETRY_INTERVAL
        if self._logs and reason != self._last_reason:
            logger.info("%s", reason)
            self._last_reason = reason

    def _read_memory(self, pynvml: Any, device: Any) -> Gpu:
        name = str(pynvml.nvmlDeviceGetName(device))
        total, free = self._memory(device)
        return Gpu(name, total, free, self._processes(device))

    def _memory(self, device: Any) -> tuple[int | None, int | None]:
        try:
            memory = self._library.nvmlDeviceGetMemoryInfo(device)
        except (self._library.NVMLError_NotSupported, self._library.NVMLError_FunctionNotFound):
            return None, None
        return int(memory.total), int(memory.free)

    def _processes(self, device: Any) -> dict[int, int]:
        """Return memory by PID, without processes whose memory the driver does not report."""
        try:
            processes = self._library.nvmlDeviceGetComputeRunningProcesses(device)
        except (self._library.NVMLError_NotSupported, self._library.NVMLError_FunctionNotFound):
            return {}
        used: dict[int, int] = {}
        for process in processes:
            if process.usedGpuMemory is not None:
                used[int(process.pid)] = used.get(int(process.pid), 0) + int(process.usedGpuMemory)
        return used

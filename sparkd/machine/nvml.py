"""The GPU's memory as NVIDIA's management library tells it, through pynvml (distribution nvidia-ml-py).

A driver may be absent, be reloaded under us, or answer nothing but errors; a GPU may know nothing about its memory
(GB10: NVML_ERROR_NOT_SUPPORTED). None of that ever raises here: what cannot be told is None, and it is asked
again later. Calls may take as long as the driver likes: whoever has an event loop asks from a thread.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from contextlib import suppress
from ctypes import CDLL
from dataclasses import dataclass, field
from typing import Any, Final

logger = logging.getLogger(__name__)

LIBRARY: Final = "libnvidia-ml.so.1"
"""NVML's library, by the name that every driver installs it under and pynvml looks for."""

ASK_AGAIN: Final = 10.0
"""Seconds between two attempts to reach a driver that is not there: one may be loaded, or reloaded, any time."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """The first GPU, in bytes. `total` and `free` are None where it does not say; `processes` is by PID."""

    name: str
    total: int | None
    free: int | None
    processes: Mapping[int, int] = field(default_factory=dict)


class Nvml:
    """The library, opened when first asked, and again after it has failed."""

    def __init__(self) -> None:
        self._library: Any = None
        self._again = 0.0
        self._said = ""

    def read(self) -> Gpu | None:
        """Return the first GPU's figures, None while there is none that answers."""
        if self._library is None and not self._open():
            return None
        pynvml = self._library
        try:
            device = pynvml.nvmlDeviceGetHandleByIndex(0)
            name = str(pynvml.nvmlDeviceGetName(device))
            total, free = self._memory(device)
            return Gpu(name, total, free, self._processes(device))
        except pynvml.NVMLError as error:
            self._lose(f"NVML does not answer any more: {error}")
            return None

    def close(self) -> None:
        """Let go of the library."""
        if self._library is not None:
            with suppress(self._library.NVMLError):
                self._library.nvmlShutdown()
            self._library = None

    def _open(self) -> bool:
        if time.monotonic() < self._again:
            return False
        if not self._is_there():
            return False
        # Only machines with a GPU need it, and nothing that starts quickly should wait for its 250 kB of Python.
        import pynvml  # type: ignore[import-untyped]  # noqa: PLC0415

        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError as error:
            self._lose(f"no GPU that NVML knows: {error}")
            return False
        self._library = pynvml
        self._said = ""
        return True

    def _is_there(self) -> bool:
        """Whether there is a driver's library at all: asked before 80 ms go into importing what speaks to it."""
        try:
            CDLL(LIBRARY)
        except OSError:
            self._lose(f"no GPU: there is no {LIBRARY}")
            return False
        return True

    def _lose(self, why: str) -> None:
        """Note why, once, and try again later from the beginning."""
        self.close()
        self._again = time.monotonic() + ASK_AGAIN
        if why != self._said:
            logger.info("%s", why)
            self._said = why

    def _memory(self, device: Any) -> tuple[int | None, int | None]:
        try:
            memory = self._library.nvmlDeviceGetMemoryInfo(device)
        except (self._library.NVMLError_NotSupported, self._library.NVMLError_FunctionNotFound):
            return None, None
        return int(memory.total), int(memory.free)

    def _processes(self, device: Any) -> dict[int, int]:
        """By PID; a process whose figure is not available is left out."""
        try:
            found = self._library.nvmlDeviceGetComputeRunningProcesses(device)
        except (self._library.NVMLError_NotSupported, self._library.NVMLError_FunctionNotFound):
            return {}
        used: dict[int, int] = {}
        for process in found:
            if process.usedGpuMemory is not None:
                used[int(process.pid)] = used.get(int(process.pid), 0) + int(process.usedGpuMemory)
        return used

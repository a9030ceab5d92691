"""Imports an engine's modules in a launcher, and finds out whether the launcher can be forked afterwards.

program.py uses it in the runtime's virtualenv, so it imports only the standard library.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import sys
import threading
import time
from contextlib import suppress
from typing import Any, Final

DEVICES: Final = "/dev/nvidia"
"""Path prefix of NVIDIA's devices. A process that uses one has initialised CUDA or NVML, and a fork of it cannot."""

NVML: Final = "libnvidia-ml.so.1"
"""NVIDIA's library that reports what GPUs a machine has."""

MAX_NVML_INITIALISATIONS: Final = 100
"""NVML counts its initialisations, and shuts down at the last one of as many shutdowns."""

SHARED_KINDS: Final = ("socket:", "pipe:", "anon_inode:")
"""Descriptors that must not be shared between engines, as /proc/PID/fd shows them."""

THREADS_TIMEOUT: Final = 1.0
"""Seconds for threads that have ended to disappear from /proc. pthread_join(3) returns a moment earlier."""


class RecordedEnvironment:
    """Records the names of variables that are read from `os.environ`, including those that are not set."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self._kind: Any = type(os.environ)
        self._get, self._contains = self._kind.__getitem__, self._kind.__contains__

    def __enter__(self) -> RecordedEnvironment:
        def get(environ: Any, name: Any) -> Any:
            self.names.add(os.fsdecode(name) if isinstance(name, bytes) else str(name))
            return self._get(environ, name)

        def contains(environ: Any, name: Any) -> bool:
            self.names.add(os.fsdecode(name) if isinstance(name, bytes) else str(name))
            return bool(self._contains(environ, name))

        self._kind.__getitem__, self._kind.__contains__ = get, contains
        return self

    def __exit__(self, *_: object) -> None:
        self._kind.__getitem__, self._kind.__contains__ = self._get, self._contains


def read_first_environment() -> dict[str, str]:
    """Return the variables that this process was started with. Read it early: setproctitle overwrites that memory.

    `os.environ` differs already: in a C locale, the interpreter sets LC_CTYPE.
    """
    with open("/proc/self/environ", "rb") as file:  # noqa: PTH123 - pathlib is not needed here
        entries = (os.fsdecode(entry).partition("=") for entry in file.read().split(b"\0") if entry)
    return {name: value for name, _, value in entries}


def find_changed_variables(first: dict[str, str]) -> dict[str, str | None]:
    """Return the variables that the interpreter and the imports have set, and those that they have removed, as None."""
    names = first.keys() | os.environ.keys()
    return {name: os.environ.get(name) for name in names if first.get(name) != os.environ.get(name)}


def import_modules(names: list[str]) -> list[str]:
    """Import the modules; return a line for each that failed. Modules differ between versions of an engine.

    "NAME if cuda" and "NAME if cpu" are imported only if PyTorch, imported by an earlier name, is built so.
    """
    failed = []
    capability = NvmlCapability()
    for line in names:
        name, _, condition = line.partition(" if ")
        if condition and condition != find_torch_build():
            continue
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            failed.append(f"{name}: not found" if error.name == name else f"{name}: {error}")
        except (Exception, SystemExit) as error:  # noqa: BLE001 - an engine may not need the module either
            failed.append(f"{name}: {type(error).__name__}: {error}")
        capability.install()
    capability.remove()
    return failed


class NvmlCapability:
    """Answers `torch.cuda.get_device_capability` with NVML's equal figures. PyTorch would initialise CUDA.

    FlashInfer asks whenever it is imported (0.7: flashinfer/compilation_context.py, flashinfer/kda_kernels), and vLLM
    imports it with its compiler passes.
    """

    def __init__(self) -> None:
        self._cuda: Any = None
        self._original: Any = None
        self._is_active = True

    def install(self) -> None:
        """Replace the function, if PyTorch is imported by now and built for CUDA."""
        cuda = getattr(sys.modules.get("torch"), "cuda", None)
        original = getattr(cuda, "get_device_capability", None)
        if self._cuda is None and original is not None and find_torch_build() == "cuda":
            self._cuda, self._original = cuda, original
            self._cuda.get_device_capability = self

    def remove(self) -> None:
        """Put PyTorch's function back. A module that keeps this object gets PyTorch's answers from now on."""
        self._is_active = False
        if self._cuda is not None:
            self._cuda.get_device_capability = self._original

    def __call__(self, device: Any = None) -> tuple[int, int]:
        """Return the major and the minor number. `device` is as for PyTorch's function."""
        if self._is_active:
            # Without NVML's answer, CUDA is initialised, and `find_fork_problem` reports that.
            with suppress(OSError, AttributeError, RuntimeError):
                index = self._cuda._get_nvml_device_index(0 if device is None else device)  # noqa: SLF001
                return read_capability(index)
        capability: tuple[int, int] = self._original(device)
        return capability


def read_capability(index: int) -> tuple[int, int]:
    """Return the compute capability of a GPU, by NVML's number. Leaves NVML initialised. Raises OSError."""
    library = ctypes.CDLL(NVML)
    handle, major, minor = ctypes.c_void_p(), ctypes.c_int(), ctypes.c_int()
    code = (
        library.nvmlInit_v2()
        or library.nvmlDeviceGetHandleByIndex_v2(index, ctypes.byref(handle))
        or library.nvmlDeviceGetCudaComputeCapability(handle, ctypes.byref(major), ctypes.byref(minor))
    )
    if code:
        raise OSError(code, "NVML does not report the GPU's compute capability")
    return major.value, minor.value


def find_torch_build() -> str:
    """Return "cuda" or "cpu": what the imported PyTorch is built for."""
    version = getattr(sys.modules.get("torch"), "version", None)
    return "cuda" if getattr(version, "cuda", None) or getattr(version, "hip", None) else "cpu"


def shut_down_nvml() -> None:
    """Shut NVML down, as often as the imports have initialised it. Each engine initialises it again.

    PyTorch and vLLM count GPUs with NVML when they are imported, and PyTorch leaves it initialised
    (torch/cuda/__init__.py, _raw_device_count_nvml). Two engines must not share its devices.
    """
    try:
        library = ctypes.CDLL(NVML, mode=os.RTLD_NOLOAD)
    except OSError:
        return  # no import has loaded it
    for _ in range(MAX_NVML_INITIALISATIONS):
        if library.nvmlShutdown() != 0:  # it is not initialised any more
            return


def find_fork_problem(before: set[int]) -> str:
    """Return why a fork of this process could not serve as an engine; empty if it could.

    `before` are the descriptors that were open before the imports.
    """
    if threads := [each.name for each in threading.enumerate() if each is not threading.main_thread()]:
        return f"an import started the thread {threads[0]!r}, which a fork would not have"
    if problem := find_mapping_problem():
        return problem
    for descriptor in sorted(list_descriptors() - before):
        path = os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115
        if path.startswith((*SHARED_KINDS, DEVICES)):
            return f"an import opened {path}, which two engines would share"
    cuda = getattr(sys.modules.get("torch"), "cuda", None)
    if cuda is not None and cuda.is_initialized():  # asking does not initialise it
        return "an import initialised CUDA, which a fork could not use"
    if count := count_lasting_threads():
        return f"an import started {count} native threads, which a fork would not have"
    return ""


def find_mapping_problem() -> str:
    """Return which mapped memory forks of this process could not use; empty if there is none. See proc_pid_maps(5)."""
    with open("/proc/self/maps") as file:  # noqa: PTH123 - pathlib is not needed here
        for line in file:
            _, permissions, _, _, _, *path = line.split(maxsplit=5)
            name = "".join(path).strip()
            if name.startswith(DEVICES):
                return "an import initialised CUDA, which a fork could not use"
            if permissions.startswith("rw") and permissions.endswith(
                "s"
            ):  # such as a lock of multiprocessing
                return f"an import created memory ({name}), which two engines would share"
    return ""


def count_lasting_threads() -> int:
    """Return the number of native threads, besides the main one, that do not end before a fork.

    OpenBLAS ends its threads before a fork and starts them again when it needs them. Others stay.
    """
    if (pid := os.fork()) == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    deadline = time.monotonic() + THREADS_TIMEOUT
    while (count := len(os.listdir("/proc/self/task")) - 1) and time.monotonic() < deadline:  # noqa: PTH208
        time.sleep(0.01)
    return count


def list_descriptors() -> set[int]:
    """Return the open descriptors of this process."""
    found = {int(name) for name in os.listdir("/proc/self/fd")}  # noqa: PTH208
    for descriptor in list(found):
        try:
            os.fstat(descriptor)
        except OSError:  # the one with which the list was read
            found.remove(descriptor)
    return found

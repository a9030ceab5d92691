"""The memory of processes, where a page that several share counts in parts (PSS). In bytes."""

from __future__ import annotations

import psutil


def measure_launcher(pid: int) -> int:
    """Return the memory of a launcher. Engines are not its children."""
    return _measure(psutil.Process(pid))


def measure_engine(pid: int) -> int:
    """Return the memory of an engine with all its processes."""
    main = psutil.Process(pid)
    return sum(_measure(process) for process in (main, *main.children(recursive=True)))


def _measure(process: psutil.Process) -> int:
    return int(process.memory_full_info().pss)

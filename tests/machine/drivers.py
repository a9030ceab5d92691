"""A fake NVML driver for machines without one: a C library with NVML's symbols, loaded as the real one is."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).with_name("nvml.c")


@dataclass(frozen=True)
class Driver:
    """The folder of the library, and the files that control which GPU it simulates."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """The environment that lets pynvml find the library: the loader reads its search path when a process starts."""
        return {
            **os.environ,
            "LD_LIBRARY_PATH": str(self.folder),
            "FAKE_NVML": str(self.folder / "kind"),
            "FAKE_NVML_PROCESSES": str(self.folder / "processes"),
        }

    def set_kind(self, kind: str) -> None:
        (self.folder / "kind").write_text(kind)

    def set_processes(self, processes: dict[int, int]) -> None:
        (self.folder / "processes").write_text("".join(f"{pid} {used}\n" for pid, used in processes.items()))

    def run_program(self, program: str) -> str:
        """Run a Python program with this driver; return its output."""
        ran = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=self.environment
        )
        return ran.stdout.strip()


def build_driver(folder: Path, kind: str) -> Driver:
    """Compile the library and have it simulate this kind of GPU."""
    library = folder / "libnvidia-ml.so.1"
    subprocess.run(["cc", "-shared", "-fPIC", "-Wall", "-Werror", "-o", library, SOURCE], check=True)
    driver = Driver(folder)
    driver.set_kind(kind)
    return driver

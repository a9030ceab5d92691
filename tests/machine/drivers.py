"""A driver to have on a machine that has none: a C library with NVML's symbols, found as the real one is."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).with_name("nvml.c")


@dataclass(frozen=True)
class Driver:
    """Where the library lies, and the files that tell it what to be."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs so that pynvml finds it: the loader reads its path when the process starts."""
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
        """What a Python program prints on a machine with this driver."""
        ran = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=self.environment
        )
        return ran.stdout.strip()


def build_driver(folder: Path, kind: str) -> Driver:
    """Compile the library, and have it be of that kind."""
    library = folder / "libnvidia-ml.so.1"
    subprocess.run(["cc", "-shared", "-fPIC", "-Wall", "-Werror", "-o", library, SOURCE], check=True)
    driver = Driver(folder)
    driver.set_kind(kind)
    return driver

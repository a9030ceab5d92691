"""Checks what a step needs on this machine, before anything is fetched or compiled."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from sparkd.catalog.quantities import GIB
from sparkd.catalog.runtime import Runtime
from sparkd.catalog.steps import Step
from sparkd.errors import RuntimeBuildError
from sparkd.runtimes.programs import ProgramFailed, run_program

CUDA_FOLDER = Path("/usr/local/cuda")
"""The folder of NVIDIA's packages for the toolkit."""

_HEADERS = (Path("/usr/local/include"), Path("/usr/include"), CUDA_FOLDER / "include")
_RELEASE = re.compile(r"release (\d+)\.")


def check_requirements(
    runtime: Runtime, step: Step, place: Path, search_path: str, python_headers: Path
) -> None:
    """Raise RuntimeBuildError with everything that `step` lacks, and the command that installs it.

    `place`: the folder of the build. `search_path`: the PATH of its commands. `python_headers`: the folder that must
    contain Python.h.
    """
    missing = [
        f"{name}: {remedy}"
        for name, remedy in step.needs.items()
        if not _is_present(name, search_path, python_headers)
    ]
    if "nvcc" in step.needs and runtime.cuda and (compiler := shutil.which("nvcc", path=search_path)):
        found = _cuda_version(compiler, search_path)
        if found != runtime.cuda:
            missing.append(
                f"CUDA toolkit {runtime.cuda} (nvcc belongs to {found or 'an unknown release'}): {step.needs['nvcc']}"
            )
    free = shutil.disk_usage(place).free
    if free < step.disk:
        missing.append(f"{step.disk / GIB:.1f} GiB on the disk of {place}: {free / GIB:.1f} GiB are free")
    if missing:
        listed = "\n    ".join(missing)
        raise RuntimeBuildError(f"Step {step.step!r} of runtime {runtime.name!r} needs:\n    {listed}")


def _is_present(name: str, search_path: str, python_headers: Path) -> bool:
    if not name.endswith(".h"):
        return shutil.which(name, path=search_path) is not None
    folders = (python_headers, *_HEADERS, *Path("/usr/include").glob("*-linux-gnu"))
    return any((folder / name).exists() for folder in folders)


def _cuda_version(compiler: str, search_path: str) -> str | None:
    """The major version of the CUDA toolkit that `compiler` belongs to."""
    try:
        output = run_program(
            (compiler, "--version"), directory=Path("/"), environ={"PATH": search_path}, timeout=60
        )
    except ProgramFailed:
        return None
    found = _RELEASE.search(output)
    return found[1] if found else None

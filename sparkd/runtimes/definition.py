"""The pins of a definition, and its fingerprint."""

from __future__ import annotations

import hashlib
import platform
import re
import sysconfig
from pathlib import Path

from sparkd.catalog.runtime import Runtime
from sparkd.errors import RuntimeBuildError

# Increase it whenever the way of building changes, so that every runtime is built again.
RECIPE = 1

DEFINITION = "runtime.toml"

_TORCH_PIN = re.compile(r"^torch==([^\s;\\]+)", re.MULTILINE)


def requirements_file(runtime: Runtime) -> Path:
    """The locked requirements of `runtime`."""
    return runtime.folder / runtime.requirements


def fingerprint(runtime: Runtime) -> str:
    """A digest of everything that decides the contents of a build of `runtime`, except the Python it is built with.

    Raises RuntimeBuildError if a file of the definition cannot be read.
    """
    digest = hashlib.sha256(f"{RECIPE}\n{sysconfig.get_platform()}\n".encode())
    patches = [runtime.folder / change.file for step in runtime.steps for change in step.patches]
    for path in (runtime.folder / DEFINITION, requirements_file(runtime), *patches):
        digest.update(hashlib.sha256(_read(runtime, path)).digest())
    return digest.hexdigest()


def environment_of(runtime: Runtime) -> dict[str, str]:
    """The environment variables for every engine of `runtime` on this machine."""
    return {**runtime.environment, **(runtime.environment_aarch64 if platform.machine() == "aarch64" else {})}


def pinned_torch(runtime: Runtime) -> str | None:
    """The version of PyTorch in the lock, None if it has none."""
    found = _TORCH_PIN.search(_read(runtime, requirements_file(runtime)).decode())
    return found[1] if found else None


def _read(runtime: Runtime, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise RuntimeBuildError(
            f"Runtime {runtime.name!r} is incomplete: cannot read {path}: {error.strerror}."
        ) from error

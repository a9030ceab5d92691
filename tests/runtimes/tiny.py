"""A runtime that is built in half a second: wheels made here, a definition that pins them."""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from sparkd.catalog.runtime import Runtime
from sparkd.runtimes import build

MODULE = """
import os, subprocess, sys, time
VERSION = "1.0"
def main():
    if "--fail" in sys.argv:
        print("first I looked\\nthen I fell")
        sys.exit(3)
    if "--leave" in sys.argv:
        subprocess.Popen(["sleep", "60"])
    if "--slow" in sys.argv:
        open(os.environ["TINY_STARTED"], "w").close()
        time.sleep(1)
    print("tiny answers with", sys.executable)
"""


def make_wheel(
    folder: Path, name: str, version: str, tag: str = "py3-none-any", module: str = MODULE
) -> Path:
    """A wheel with one module and one program, both called `name`."""
    folder.mkdir(parents=True, exist_ok=True)
    inside = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": module,
        f"{inside}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{inside}/WHEEL": f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n",
        f"{inside}/entry_points.txt": f"[console_scripts]\n{name} = {name}:main\n",
    }
    files[f"{inside}/RECORD"] = "".join(f"{file},,\n" for file in [*files, f"{inside}/RECORD"])
    wheel = folder / f"{name}-{version}-{tag}.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for file, text in files.items():
            archive.writestr(file, text)
    return wheel


def hash_of(wheel: Path) -> str:
    return f"sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}"


@dataclass
class Tiny:
    """A definition in `folder`, wheels in `wheels`, builds in `root`, and what the builds reported."""

    place: Path
    lines: list[str] = field(default_factory=list)
    on_wait: Callable[[], None] = field(default=lambda: None)
    """Called when a build reports that it waits for another one."""

    def __post_init__(self) -> None:
        self.wheel = make_wheel(self.wheels, "tiny", "1.0")
        self.define(f"tiny==1.0 --hash={hash_of(self.wheel)}\n")

    @property
    def root(self) -> Path:
        return self.place / "runtimes"

    @property
    def wheels(self) -> Path:
        return self.place / "wheels"

    @property
    def environment(self) -> dict[str, str]:
        """No network, no settings of this machine's user; bytecode forbidden, as some machines do."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.place),
            "PIP_FIND_LINKS": f"{self.place / 'absent'} {self.wheels}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "UV_OFFLINE": "1",
        }

    def define(self, lock: str, **keys: Any) -> Runtime:
        """Write the definition again; `keys` are those of runtime.toml."""
        folder = self.place / "venvs" / "tiny"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "requirements.lock").write_text(lock)
        # JSON instead of TOML: the builder only reads the bytes.
        (folder / "runtime.toml").write_bytes(msgspec.json.encode(keys))
        self.runtime = Runtime(name="tiny", folder=folder, **keys)
        return self.runtime

    def build(self, *, terminal: bool = False, **environment: str) -> Path:
        inherited = {**self.environment, **environment}
        return build(self.runtime, self.root, self.report, terminal=terminal, inherited=inherited)

    def report(self, line: str) -> None:
        self.lines.append(line)
        if line.startswith("Waiting for another build"):
            self.on_wait()

    @property
    def lock(self) -> str:
        return (self.runtime.folder / "requirements.lock").read_text()

"""A runtime whose engine is a stand-in for vLLM, for tests of whole daemons that start engines from launchers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec

from sparkd.catalog.runtime import Runtime
from sparkd.runtimes.definition import fingerprint
from sparkd.runtimes.store import RECORD, Record, folder_name
from sparkd.scheduling.status import LauncherStatus
from tests.e2e.sparkd_process import BAD_ENGINE, SparkdProcess, wait_until

STANDIN = Path(__file__).with_name("standin_vllm.py")
PROGRAM = """#!/bin/sh
'''exec' "$(dirname "$(realpath "$0")")/python" "$0" "$@"
' '''
import sys
from vllm.entrypoints.cli.main import main
if __name__ == "__main__":
    sys.exit(main())
"""
"""A script as uv writes it: its virtualenv may be moved."""

DEFINITION = 'description = "a stand-in"\npython = ">=3.11"\n'


class WarmRuntime:
    """The runtime "fake" in `folder`, built, and a model's files.

    These files in its folder control its engines: `hold-import`, `hold-server` and `hold-core` hold a start at that
    point, `need-main-file` makes forked engines fail, `fail-server` all of them, `fail-import` and `start-thread` make
    the launcher unusable.
    """

    def __init__(self, folder: Path, interpreter: str = sys.executable) -> None:
        self._interpreter = interpreter
        self.venvs, self.runtimes, self.source = folder / "venvs", folder / "runtimes", folder / "source"
        definition = self.venvs / "fake"
        definition.mkdir(parents=True)
        (definition / "runtime.toml").write_text(DEFINITION)
        (definition / "requirements.lock").write_text("")
        self.source.mkdir()
        (self.source / "config.json").write_text("{}")
        (self.source / "model.safetensors").write_bytes(b"\x02\0\0\0\0\0\0\0{}")
        self.build("3.11")

    def build(self, python: str) -> Path:
        """Build it as if with this Python, and use that build."""
        digest = fingerprint(Runtime(name="fake", folder=self.venvs / "fake"))
        self.folder = self.runtimes / folder_name("fake", digest, python)
        command = (self._interpreter, "-m", "venv", "--without-pip", str(self.folder))
        subprocess.run(command, check=True)
        (site,) = self.folder.glob("lib/python*/site-packages")
        for package in ("vllm", "vllm/entrypoints", "vllm/entrypoints/cli"):
            (site / package).mkdir()
            (site / package / "__init__.py").touch()
        (site / "vllm/entrypoints/cli/main.py").write_text(STANDIN.read_text())
        (site / "bad_engine.py").write_text(BAD_ENGINE.read_text())
        inside = site / "vllm-1.0.dist-info"
        inside.mkdir()
        (inside / "METADATA").write_text("Metadata-Version: 2.1\nName: vllm\nVersion: 1.0\n")
        (inside / "entry_points.txt").write_text("[console_scripts]\nvllm = vllm.entrypoints.cli.main:main\n")
        program = self.folder / "bin" / "vllm"
        program.write_text(PROGRAM)
        program.chmod(0o755)
        self.touch_record(digest, python)
        return self.folder

    def touch_record(self, digest: str, python: str, created: float = 1.0) -> None:
        """Write the record of the build, as the end of a build does."""
        record = Record(name="fake", fingerprint=digest, python=python, created=created)
        (self.folder / RECORD).write_bytes(msgspec.json.encode(record))

    def rebuild(self) -> None:
        """Have the same build finished again."""
        text = (self.folder / RECORD).read_bytes()
        (self.folder / RECORD).unlink()
        (self.folder / RECORD).write_bytes(text)

    def control(self, name: str) -> Path:
        """Return a control file."""
        return self.folder / name

    def model(self, *, options: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
        """Return a model of this runtime."""
        return {
            "runtime": "fake",
            "source": str(self.source),
            "memory": "1 GiB",
            "min_residency": 0.0,
            "options": options or {},
            **fields,
        }

    @property
    def paths(self) -> dict[str, str]:
        """The section `[paths]` of the catalogue."""
        return {"venvs": str(self.venvs), "runtimes": str(self.runtimes)}


def launcher_of(sparkd: SparkdProcess) -> LauncherStatus | None:
    return next(iter(sparkd.status().launchers), None)


def wait_for_launcher(sparkd: SparkdProcess, state: str = "ready") -> LauncherStatus:
    def find() -> LauncherStatus | None:
        status = launcher_of(sparkd)
        return status if status and status.state == state else None

    status: LauncherStatus = wait_until(f"the launcher is {state}", find)
    return status


def wait_for_launcher_process(sparkd: SparkdProcess) -> int:
    """Return the PID of the launcher, which may still import."""
    pid: int = wait_until("the launcher runs", lambda: (status := launcher_of(sparkd)) and status.pid)
    return pid


def text(sparkd: SparkdProcess, model: str) -> str:
    answer = sparkd.chat(model)
    assert answer.status_code == 200, answer.text + sparkd.log()
    said: str = answer.json()["choices"][0]["message"]["content"]
    return said.strip()


def engine_pid(sparkd: SparkdProcess, model: str) -> int:
    """Return the PID of the engine that starts."""
    pid: int = wait_until(f"{model} has a process", lambda: sparkd.model(model).pid)
    return pid

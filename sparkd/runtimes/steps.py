"""Builds a runtime's steps. Each leaves wheels and a record of their inputs, so that no step is built twice.

<root>/.steps/<runtime>/fetched/             downloaded commits
<root>/.steps/<runtime>/cache/               the compiler cache (ccache)
<root>/.steps/<runtime>/<step>/source/       during the build
<root>/.steps/<runtime>/<step>/wheels/       the result
<root>/.steps/<runtime>/<step>/done.json     written last
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import msgspec

from sparkd.catalog.runtime import Runtime
from sparkd.catalog.steps import STEP_PLACEHOLDERS, Step
from sparkd.errors import RuntimeBuildError
from sparkd.runtimes import tools
from sparkd.runtimes.needs import CUDA_FOLDER, check_requirements
from sparkd.runtimes.programs import ProgramFailed, Report, run_program
from sparkd.runtimes.sources import apply_patches, check_out_sources, file_digest
from sparkd.runtimes.store import STEPS

_DONE = "done.json"

_GIT_VARIABLES = frozenset({"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY"})
"""Variables that point git to another repository; a build started from a git hook has them."""

JOBS = {
    "MAX_JOBS": "2",
    "CMAKE_BUILD_PARALLEL_LEVEL": "2",
    "MAKEFLAGS": "-j2",
    "NVCC_THREADS": "1",
    "FLASHINFER_NVCC_THREADS": "1",
}
"""More compilers at once have run machines out of memory. The environment of a step overrides these values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildContext:
    """The context of steps: the runtime, the root of all builds, the unfinished virtualenv and its environment.

    `pinned` is a digest of the virtualenv's inputs. `python_headers` is the folder that must contain Python.h.
    """

    runtime: Runtime
    root: Path
    venv: Path
    pinned: str
    python_headers: Path
    inherited: Mapping[str, str]
    lock: IO[bytes]
    report: Report

    @property
    def folder(self) -> Path:
        """The folder with everything that the steps of this runtime keep."""
        return self.root / STEPS / self.runtime.name


def build_steps(context: BuildContext, install: Callable[[list[Path]], None]) -> None:
    """Build missing steps in order, and give the wheels of each step to `install`. Raises RuntimeBuildError."""
    pinned = context.pinned
    for number, step in enumerate(context.runtime.steps, start=1):
        pinned = _digest(context.runtime, step, pinned)
        build = _StepBuild(context, step, pinned)
        label = f"Step {number} of {len(context.runtime.steps)}, {step.step}"
        if (wheels := build.find_finished_wheels()) is not None:
            context.report(f"{label}: built before")
        else:
            context.report(f"{label} …")
            wheels = build.build()
        install(wheels)


def remove_sources(context: BuildContext) -> None:
    """Remove what is not needed after the last step. The wheels stay, because a definition may change elsewhere."""
    for name in ("fetched", "cache"):
        shutil.rmtree(context.folder / name, ignore_errors=True)


def _digest(runtime: Runtime, step: Step, before: str) -> str:
    """A digest of the inputs of a step: its definition, its patches, and the inputs of the steps before it."""
    patches = [file_digest(runtime.folder / change.file) for change in step.patches]
    inputs = [before, {**msgspec.to_builtins(step), "needs": None, "disk": None}, patches, runtime.cuda]
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


class _StepBuild:
    """One step. The lock is held."""

    def __init__(self, context: BuildContext, step: Step, digest: str) -> None:
        self.context, self.step, self.digest = context, step, digest
        self.folder = context.folder / step.step
        self.source = self.folder / "source"
        self.wheels = self.folder / "wheels"

    def find_finished_wheels(self) -> list[Path] | None:
        """Its wheels, if they were built from exactly these inputs and are unchanged; otherwise None."""
        try:
            record = json.loads((self.folder / _DONE).read_bytes())
            wheels = {self.wheels / name: digest for name, digest in record["wheels"].items()}
            unchanged = record["digest"] == self.digest and all(
                file_digest(path) == wheels[path] for path in wheels
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeBuildError):
            return None
        return sorted(wheels) if unchanged else None

    def build(self) -> list[Path]:
        """Build it from its sources."""
        self._prepare()
        for command in self.step.commands:
            argv = tuple(map(self._fill_placeholders, command))
            try:
                self._run((tools.find_uv(), *argv[1:]) if argv[0] == "uv" else argv, self.source)
            except ProgramFailed as failed:
                what = f"Step {self.step.step!r} of runtime {self.context.runtime.name!r}: `{' '.join(argv)}` failed"
                raise RuntimeBuildError(failed.describe(what)) from failed
        return self._write_record()

    def _prepare(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        check_requirements(
            self.context.runtime,
            self.step,
            self.folder,
            self._environment()["PATH"],
            self.context.python_headers,
        )
        (self.folder / _DONE).unlink(missing_ok=True)
        shutil.rmtree(self.wheels, ignore_errors=True)
        self.wheels.mkdir()
        self._temporary.mkdir(exist_ok=True)
        check_out_sources(self.step, self.source, self.context.folder / "fetched", self._git)
        apply_patches(self.step, self.source, self.context.runtime.folder, self._git)

    def _write_record(self) -> list[Path]:
        wheels = sorted(self.wheels.glob("*.whl"))
        names = {wheel.name.partition("-")[0].lower().replace("_", "-") for wheel in wheels}
        if missing := [name for name in self.step.builds if name.lower().replace("_", "-") not in names]:
            raise RuntimeBuildError(f"Step {self.step.step!r} built no wheel of {' and '.join(missing)}.")
        record = {"digest": self.digest, "wheels": {wheel.name: file_digest(wheel) for wheel in wheels}}
        new = self.folder / f"{_DONE}.new"
        new.write_text(json.dumps(record, indent=2))
        # Sync first: after a power cut, a record without its wheels would be wrong.
        os.sync()
        new.rename(self.folder / _DONE)
        for folder in (self.source, self._temporary):
            shutil.rmtree(folder, ignore_errors=True)
        return wheels

    @property
    def _temporary(self) -> Path:
        return self.folder / "tmp"

    def _fill_placeholders(self, text: str) -> str:
        values = {
            "python": self.context.venv / "bin" / "python",
            "source": self.source,
            "wheels": self.wheels,
            "cache": self.context.folder / "cache",
            "venv": self.context.venv,
        }
        for name in STEP_PLACEHOLDERS:
            text = text.replace(f"{{{name}}}", str(values[name]))
        return text

    def _environment(self) -> dict[str, str]:
        inherited = tools.build_environment(self.context.root, self.context.inherited)
        inherited = {name: value for name, value in inherited.items() if name not in _GIT_VARIABLES}
        path = [str(self.context.venv / "bin"), inherited.get("PATH", "/usr/local/bin:/usr/bin:/bin")]
        return {
            **inherited,
            **JOBS,
            "PATH": ":".join([*path, str(CUDA_FOLDER / "bin")]),
            "VIRTUAL_ENV": str(self.context.venv),
            "TMPDIR": str(self._temporary),
            # Otherwise git applies a patch for a source without a repository to the repository around it.
            "GIT_CEILING_DIRECTORIES": str(self.folder),
            "GIT_TERMINAL_PROMPT": "0",
            # A download below 1,000 bytes a second for two minutes fails; git itself would wait without limit.
            "GIT_HTTP_LOW_SPEED_LIMIT": "1000",
            "GIT_HTTP_LOW_SPEED_TIME": "120",
            "CCACHE_DIR": str(self.context.folder / "cache" / "ccache"),
            **{name: self._fill_placeholders(value) for name, value in self.step.environment.items()},
        }

    def _git(self, folder: Path, *arguments: str) -> str:
        return self._run(("git", "-C", str(folder), *arguments), folder)

    def _run(self, argv: tuple[str, ...], folder: Path) -> str:
        return run_program(
            argv,
            directory=folder,
            environ=self._environment(),
            lock=self.context.lock,
            report=lambda line: self.context.report(f"  {line.strip()}"),
        )

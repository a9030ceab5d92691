"""Builds a runtime's steps: each leaves wheels and a record of all that went into them, so that none is done twice.

<root>/.steps/<runtime>/fetched/             what came over the network
<root>/.steps/<runtime>/cache/               what compilers keep (ccache)
<root>/.steps/<runtime>/<step>/source/       while it is built
<root>/.steps/<runtime>/<step>/wheels/       what came out
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

from sparkd.catalog.definitions import Runtime
from sparkd.catalog.steps import STEP_PLACEHOLDERS, Step
from sparkd.errors import RuntimeBuildError
from sparkd.runtimes import tools
from sparkd.runtimes.needs import CUDA_FOLDER, require
from sparkd.runtimes.running import ProgramFailed, Report, run
from sparkd.runtimes.sources import digest_of, lay_out, patch
from sparkd.runtimes.store import STEPS

_DONE = "done.json"

_GITS_OWN = frozenset({"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY"})
"""Variables that lead git to another repository; a build started by a hook of git has them."""

JOBS = {
    "MAX_JOBS": "2",
    "CMAKE_BUILD_PARALLEL_LEVEL": "2",
    "MAKEFLAGS": "-j2",
    "NVCC_THREADS": "1",
    "FLASHINFER_NVCC_THREADS": "1",
}
"""More compilers at once have run whole machines out of memory. A step's own environment has the last word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where steps are built: the runtime, the root of all builds, the unfinished virtualenv and its surroundings.

    `pinned` is a digest of what the virtualenv was made from; `python_headers` where its Python.h has to be.
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
    def place(self) -> Path:
        """Everything that the steps of this runtime leave."""
        return self.root / STEPS / self.runtime.name


def build_steps(site: Site, install: Callable[[list[Path]], None]) -> None:
    """Builds what is not built yet, in order, and gives each step's wheels to `install`. Raises RuntimeBuildError."""
    pinned = site.pinned
    for number, step in enumerate(site.runtime.steps, start=1):
        pinned = _digest(site.runtime, step, pinned)
        one = _Step(site, step, pinned)
        told = f"Step {number} of {len(site.runtime.steps)}, {step.step}"
        if (wheels := one.finished()) is not None:
            site.report(f"{told}: built before")
        else:
            site.report(f"{told} …")
            wheels = one.build()
        install(wheels)


def forget_sources(site: Site) -> None:
    """Removes what nothing needs once all steps are done. Their wheels stay: a definition may change elsewhere."""
    for name in ("fetched", "cache"):
        shutil.rmtree(site.place / name, ignore_errors=True)


def _digest(runtime: Runtime, step: Step, before: str) -> str:
    """All that goes into a step: what it says, its patches, and all that went into what stands before it."""
    patches = [digest_of(runtime.folder / change.file) for change in step.patches]
    told = [before, {**msgspec.to_builtins(step), "needs": None, "disk": None}, patches, runtime.cuda]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


class _Step:
    """One step, while the lock is held."""

    def __init__(self, site: Site, step: Step, digest: str) -> None:
        self.site, self.step, self.digest = site, step, digest
        self.place = site.place / step.step
        self.source = self.place / "source"
        self.wheels = self.place / "wheels"

    def finished(self) -> list[Path] | None:
        """Its wheels, if they were built from just this and are as they were left; else None."""
        try:
            record = json.loads((self.place / _DONE).read_bytes())
            wheels = {self.wheels / name: digest for name, digest in record["wheels"].items()}
            whole = record["digest"] == self.digest and all(
                digest_of(path) == wheels[path] for path in wheels
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeBuildError):
            return None
        return sorted(wheels) if whole else None

    def build(self) -> list[Path]:
        """Builds it from its sources, from the beginning."""
        self._prepare()
        for command in self.step.commands:
            argv = tuple(map(self._filled, command))
            try:
                self._run((tools.uv(), *argv[1:]) if argv[0] == "uv" else argv, self.source)
            except ProgramFailed as failed:
                what = f"Step {self.step.step!r} of runtime {self.site.runtime.name!r}: `{' '.join(argv)}` failed"
                raise RuntimeBuildError(failed.told(what)) from failed
        return self._record()

    def _prepare(self) -> None:
        self.place.mkdir(parents=True, exist_ok=True)
        require(
            self.site.runtime, self.step, self.place, self._environment()["PATH"], self.site.python_headers
        )
        (self.place / _DONE).unlink(missing_ok=True)
        shutil.rmtree(self.wheels, ignore_errors=True)
        self.wheels.mkdir()
        self._temporary.mkdir(exist_ok=True)
        lay_out(self.step, self.source, self.site.place / "fetched", self._git)
        patch(self.step, self.source, self.site.runtime.folder, self._git)

    def _record(self) -> list[Path]:
        wheels = sorted(self.wheels.glob("*.whl"))
        names = {wheel.name.partition("-")[0].lower().replace("_", "-") for wheel in wheels}
        if missing := [name for name in self.step.builds if name.lower().replace("_", "-") not in names]:
            raise RuntimeBuildError(f"Step {self.step.step!r} built no wheel of {' and '.join(missing)}.")
        record = {"digest": self.digest, "wheels": {wheel.name: digest_of(wheel) for wheel in wheels}}
        new = self.place / f"{_DONE}.new"
        new.write_text(json.dumps(record, indent=2))
        # The disk first: after a power cut a record without its wheels would only be in the way.
        os.sync()
        new.rename(self.place / _DONE)
        for folder in (self.source, self._temporary):
            shutil.rmtree(folder, ignore_errors=True)
        return wheels

    @property
    def _temporary(self) -> Path:
        return self.place / "tmp"

    def _filled(self, text: str) -> str:
        values = {
            "python": self.site.venv / "bin" / "python",
            "source": self.source,
            "wheels": self.wheels,
            "cache": self.site.place / "cache",
            "venv": self.site.venv,
        }
        for name in STEP_PLACEHOLDERS:
            text = text.replace(f"{{{name}}}", str(values[name]))
        return text

    def _environment(self) -> dict[str, str]:
        inherited = tools.environment(self.site.root, self.site.inherited)
        inherited = {name: value for name, value in inherited.items() if name not in _GITS_OWN}
        path = [str(self.site.venv / "bin"), inherited.get("PATH", "/usr/local/bin:/usr/bin:/bin")]
        return {
            **inherited,
            **JOBS,
            "PATH": ":".join([*path, str(CUDA_FOLDER / "bin")]),
            "VIRTUAL_ENV": str(self.site.venv),
            "TMPDIR": str(self._temporary),
            # Else a patch for a source that is no repository is taken for one of the repository around us.
            "GIT_CEILING_DIRECTORIES": str(self.place),
            "GIT_TERMINAL_PROMPT": "0",
            # Below 1,000 bytes a second for two minutes a download has failed; git itself would wait for ever.
            "GIT_HTTP_LOW_SPEED_LIMIT": "1000",
            "GIT_HTTP_LOW_SPEED_TIME": "120",
            "CCACHE_DIR": str(self.site.place / "cache" / "ccache"),
            **{name: self._filled(value) for name, value in self.step.environment.items()},
        }

    def _git(self, folder: Path, *arguments: str) -> str:
        return self._run(("git", "-C", str(folder), *arguments), folder)

    def _run(self, argv: tuple[str, ...], folder: Path) -> str:
        return run(
            argv,
            directory=folder,
            environ=self._environment(),
            lock=self.site.lock,
            report=lambda line: self.site.report(f"  {line.strip()}"),
        )

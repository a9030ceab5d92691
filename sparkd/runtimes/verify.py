"""Checks a build before it counts as finished."""

from __future__ import annotations

import importlib.metadata
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from sparkd.catalog.runtime import Runtime
from sparkd.errors import RuntimeBuildError
from sparkd.runtimes import tools
from sparkd.runtimes.definition import environment_of
from sparkd.runtimes.programs import ProgramFailed, Report, run_program

# Seconds for one check. The first import of a large program on a slow disk takes a minute.
_TIMEOUT = 600.0

# Seconds for one command that downloads: precompiled kernels are a few GB.
_FETCH_TIMEOUT = 3600.0

_IMPORT = "import importlib, sys\nfor name in sys.argv[1:]: importlib.import_module(name)"
_CUDA = "import torch; print('CUDA', torch.version.cuda)"


@dataclass(frozen=True, slots=True)
class BuildVerifier:
    """Checks the build in `folder`. Programs get `work` as their home, so that they write to no user's home."""

    runtime: Runtime
    folder: Path
    work: Path
    lock: IO[bytes]
    report: Report
    devices: Path

    @property
    def has_gpu(self) -> bool:
        """Whether this machine has an NVIDIA GPU and its driver."""
        return (self.devices / "nvidiactl").exists()

    def fetch(self, environ: Mapping[str, str]) -> None:
        """Run the commands in `fetch` on machines with a GPU. A failure is only reported."""
        for command in self.runtime.fetch if self.has_gpu else ():
            label = f"`{' '.join(command)}`"
            self.report(f"Fetching with {label} …")
            # uv at the end: commands that download packages need it, because the virtualenv has no pip.
            path = f"{self.folder / 'bin'}:{environ.get('PATH', '')}:{Path(tools.find_uv()).parent}"
            variables = {**environ, **self._environment(), "PATH": path}
            try:
                self._run(command[0], command[1:], variables, _FETCH_TIMEOUT)
            except ProgramFailed as failed:
                self.report(
                    f"{failed.describe(f'{label} failed')}\n"
                    "  The build continues: the first start compiles what is missing."
                )

    def verify(self) -> dict[str, str]:
        """Check everything, and return the versions of all packages. Raises RuntimeBuildError."""
        found = self._versions()
        if self.runtime.cuda:
            self._check_cuda(found.get("torch", "missing"))
        if self.runtime.imports:
            modules = ", ".join(self.runtime.imports)
            self.report(f"Checking that {modules} can be imported …")
            self._check(f"cannot import {modules}", "python", "-c", _IMPORT, *self.runtime.imports)
        for command in (*self.runtime.smoke, *(self.runtime.smoke_gpu if self.has_gpu else ())):
            self.report(f"Checking that `{' '.join(command)}` works …")
            self._check(f"`{' '.join(command)}` failed", *command)
        return found

    def _versions(self) -> dict[str, str]:
        packages = [sysconfig.get_path("purelib", "venv", {"base": str(self.folder)})]
        found = {
            distribution.metadata["Name"].lower().replace("_", "-"): distribution.version
            for distribution in importlib.metadata.distributions(path=packages)
        }
        wrong = [
            f"{name} is {found.get(name.lower(), 'missing')}, not {version}"
            for name, version in {**self.runtime.provides, **self.runtime.versions}.items()
            if found.get(name.lower()) != version
        ]
        if wrong:
            raise RuntimeBuildError(f"Runtime {self.runtime.name!r} is not valid: {'; '.join(wrong)}.")
        return dict(sorted(found.items()))

    def _check_cuda(self, version: str) -> None:
        self.report(f"Checking that its PyTorch is built for CUDA {self.runtime.cuda} …")
        output = self._check("cannot import torch", "python", "-c", _CUDA)
        cuda = output.rpartition("CUDA ")[2].strip()
        if cuda.partition(".")[0] != self.runtime.cuda:
            found = "a build without CUDA" if cuda == "None" else f"a build for CUDA {cuda}"
            raise RuntimeBuildError(
                f"Runtime {self.runtime.name!r} is not valid: its torch {version} is {found}, not for CUDA "
                f"{self.runtime.cuda}. Check PIP_FIND_LINKS and PIP_INDEX_URL, which say where it came from."
            )

    def _check(self, failure: str, program: str, *arguments: str) -> str:
        try:
            return self._run(program, arguments, self._environment(), _TIMEOUT)
        except ProgramFailed as failed:
            raise RuntimeBuildError(
                failed.describe(f"Runtime {self.runtime.name!r} was built, but {failure}")
            ) from failed

    def _run(
        self, program: str, arguments: tuple[str, ...], environ: Mapping[str, str], timeout: float
    ) -> str:
        argv = (str(self.folder / "bin" / program), *arguments)
        return run_program(argv, directory=self.work, environ=environ, lock=self.lock, timeout=timeout)

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": f"{self.folder / 'bin'}:/usr/local/bin:/usr/bin:/bin:/usr/local/cuda/bin",
            "HOME": str(self.work),
            "TMPDIR": str(self.work),
            "LANG": "C.UTF-8",
            **environment_of(self.runtime),
        }

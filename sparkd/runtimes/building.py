"""Builds a definition into a verified virtualenv, and puts it in place with one rename at the end."""

from __future__ import annotations

import os
import platform
import shutil
import sysconfig
import time
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from sparkd.catalog.quantities import GIB
from sparkd.catalog.runtime import Runtime
from sparkd.errors import RuntimeBuildError
from sparkd.runtimes import tools
from sparkd.runtimes.definition import RECIPE, fingerprint, pinned_torch, requirements_file
from sparkd.runtimes.programs import ProgramFailed, Report, run_program
from sparkd.runtimes.sources import file_digest
from sparkd.runtimes.steps import BuildContext, build_steps, remove_sources
from sparkd.runtimes.store import (
    Record,
    clear_unfinished,
    find_built,
    folder_name,
    hold_lock,
    publish_build,
    undo_roll_back,
)
from sparkd.runtimes.verify import BuildVerifier

_WORK = ".sparkd-work"


def build_runtime(
    runtime: Runtime,
    root: Path,
    report: Report,
    *,
    terminal: bool,
    inherited: Mapping[str, str],
    devices: Path,
) -> Path:
    """The implementation of `sparkd.runtimes.build`."""
    with hold_lock(root, report) as lock:
        clear_unfinished(root)
        if folder := find_built(runtime, root):
            report(f"Runtime {runtime.name!r} is built: {folder}")
            if undo_roll_back(root, runtime.name):
                report("It was rolled back. Engines use it again from their next start.")
            return folder
        return _Build(
            runtime=runtime,
            root=root,
            report=report,
            terminal=terminal,
            inherited=inherited,
            devices=devices,
            lock=lock,
        ).run()


class _Build:
    """One build. The lock is held."""

    def __init__(
        self,
        *,
        runtime: Runtime,
        root: Path,
        report: Report,
        terminal: bool,
        inherited: Mapping[str, str],
        devices: Path,
        lock: IO[bytes],
    ) -> None:
        self.runtime = runtime
        self.root = root
        self.report = report
        self.terminal = terminal
        self.inherited = inherited
        self.devices = devices
        self.environ = tools.build_environment(root, inherited)
        self.lock = lock

    def run(self) -> Path:
        """Build, verify, and put the build in place."""
        began = time.monotonic()
        wanted = fingerprint(self.runtime)
        self._require_space()
        python, version = self._find_python()
        folder = self.root / folder_name(self.runtime.name, wanted, version)
        self.report(f"Building runtime {self.runtime.name!r} with Python {version} …")
        with self._building_folder(folder) as building:
            self._create_venv(python, building)
            work = building / _WORK
            work.mkdir()
            self._install(version, building, work)
            if self.runtime.steps:
                self._build_steps(python, version, building)
            check = BuildVerifier(self.runtime, building, work, self.lock, self.report, self.devices)
            check.fetch(self.environ)
            versions = check.verify()
            shutil.rmtree(work)
            created = time.time()
            record = Record(
                name=self.runtime.name, fingerprint=wanted, python=version, created=created, versions=versions
            )
            publish_build(building, folder, record)
        undo_roll_back(self.root, self.runtime.name)
        self.report(f"Runtime {self.runtime.name!r} is built in {time.monotonic() - began:.0f} s: {folder}")
        return folder

    def _require_space(self) -> None:
        free = shutil.disk_usage(self.root).free
        if free < self.runtime.disk:
            raise RuntimeBuildError(
                f"Runtime {self.runtime.name!r} needs {self.runtime.disk / GIB:.1f} GiB on the disk of {self.root}, "
                f"but only {free / GIB:.1f} GiB are free."
            )

    def _find_python(self) -> tuple[str, str]:
        """The path and the version of a matching Python on this machine. uv must not download one."""
        wanted = self.runtime.python
        try:
            path = (
                self._uv("python", "find", "--system", "--python-preference", "system", wanted)
                .strip()
                .splitlines()[-1]
            )
            version = self._run((path, "-c", "import platform; print(platform.python_version())")).strip()
        except ProgramFailed as failed:
            raise RuntimeBuildError(
                f"Runtime {self.runtime.name!r} needs Python {wanted}, and this machine has none. "
                f"Install one, for example with `sudo apt-get install {_debian_package(wanted)}`."
            ) from failed
        return path, version

    @contextmanager
    def _building_folder(self, folder: Path) -> Iterator[Path]:
        building = folder.with_name(f"{folder.name}.building-{os.getpid()}")
        try:
            yield building
        finally:
            shutil.rmtree(building, ignore_errors=True)

    def _create_venv(self, python: str, building: Path) -> None:
        try:
            # Relocatable: its programs find the Python beside them, also after the folder is renamed.
            self._uv("venv", "--quiet", "--relocatable", "--python", python, str(building))
        except ProgramFailed as failed:
            raise RuntimeBuildError(failed.describe("Cannot create a virtualenv")) from failed

    def _install(self, version: str, building: Path, work: Path) -> None:
        links = tools.find_links(self.runtime, self.inherited)
        options = [part for link in links for part in ("--find-links", link)]
        options += self._torch_options(links, version)
        stand_ins = [
            str(_make_stand_in_wheel(work, name, claimed)) for name, claimed in self.runtime.provides.items()
        ]
        try:
            # --no-deps: the lock is complete. --compile-bytecode: without it, the first start of an engine compiles
            # tens of thousands of files; if the folder is read-only, every start does.
            self._uv(
                *("pip", "install", "--python", str(building / "bin" / "python")),
                *("--no-deps", "--compile-bytecode", *options),
                *("--requirements", str(requirements_file(self.runtime)), *stand_ins),
                show_output=True,
            )
        except ProgramFailed as failed:
            what = f"Cannot install the packages of runtime {self.runtime.name!r}"
            raise RuntimeBuildError(failed.describe(what)) from failed

    def _build_steps(self, python: str, version: str, building: Path) -> None:
        headers = self._run((python, "-c", "import sysconfig; print(sysconfig.get_path('include'))")).strip()
        pinned = (
            f"{RECIPE} {sysconfig.get_platform()} {version} {file_digest(requirements_file(self.runtime))}"
        )
        context = BuildContext(
            runtime=self.runtime,
            root=self.root,
            venv=building,
            pinned=pinned,
            python_headers=Path(headers),
            inherited=self.inherited,
            lock=self.lock,
            report=self.report,
        )
        build_steps(context, lambda wheels: self._install_wheels(wheels, building))
        remove_sources(context)

    def _install_wheels(self, wheels: list[Path], building: Path) -> None:
        try:
            self._uv(
                *("pip", "install", "--python", str(building / "bin" / "python"), "--offline", "--no-index"),
                *("--no-deps", "--compile-bytecode", "--reinstall", *map(str, wheels)),
            )
        except ProgramFailed as failed:
            what = f"Cannot install the packages that runtime {self.runtime.name!r} builds"
            raise RuntimeBuildError(failed.describe(what)) from failed

    def _torch_options(self, links: list[str], version: str) -> list[str]:
        """Prefer a local wheel of the pinned PyTorch to PyTorch's own index, which may be unreachable."""
        torch = pinned_torch(self.runtime)
        if torch is None or self.runtime.torch_backend is None:
            return []
        tag = f"cp{''.join(version.split('.')[:2])}"
        if tools.has_wheel(links, "torch", torch, tag, platform.machine()):
            return []
        return ["--torch-backend", self.runtime.torch_backend]

    def _uv(self, *arguments: str, show_output: bool = False) -> str:
        return self._run((tools.find_uv(), *arguments, "--no-python-downloads"), show_output=show_output)

    def _run(self, argv: tuple[str, ...], *, show_output: bool = False) -> str:
        return run_program(
            argv,
            directory=self.root,
            environ=self.environ,
            lock=self.lock,
            report=self._report_indented if show_output else lambda _: None,
            terminal=show_output and self.terminal,
        )

    def _report_indented(self, line: str) -> None:
        self.report(f"  {line.strip()}")


def _debian_package(python: str) -> str:
    """The Debian package that probably satisfies a version specifier such as ">=3.12,<3.14"."""
    lowest = python.partition(",")[0].lstrip("=>~ ")
    return f"python{'.'.join(lowest.split('.')[:2])}"


def _make_stand_in_wheel(work: Path, name: str, version: str) -> Path:
    """A placeholder wheel that has only a name and a version.

    Format: https://packaging.python.org/en/latest/specifications/binary-distribution-format/
    """
    wheel = work / f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
    inside = f"{name.replace('-', '_')}-{version}.dist-info"
    files = {
        "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        "WHEEL": "Wheel-Version: 1.0\nGenerator: sparkd\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    with zipfile.ZipFile(wheel, "w") as archive:
        for file, text in files.items():
            archive.writestr(f"{inside}/{file}", text)
        record = "".join(f"{inside}/{file},,\n" for file in (*files, "RECORD"))
        archive.writestr(f"{inside}/RECORD", record)
    return wheel

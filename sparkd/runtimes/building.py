"""From a definition to a verified virtualenv: built beside, put in its place by one rename at the end."""

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

from sparkd.catalog.definitions import Runtime
from sparkd.catalog.quantities import GIB
from sparkd.errors import RuntimeBuildError
from sparkd.runtimes import tools
from sparkd.runtimes.definition import RECIPE, fingerprint, pinned_torch, requirements
from sparkd.runtimes.running import ProgramFailed, Report, run
from sparkd.runtimes.sources import digest_of
from sparkd.runtimes.stepping import Site, build_steps, forget_sources
from sparkd.runtimes.store import Record, built, clear_unfinished, finish, folder_name, go_forward, locked
from sparkd.runtimes.verify import Check

_WORK = ".sparkd-work"


def carry_out(
    runtime: Runtime,
    root: Path,
    report: Report,
    *,
    terminal: bool,
    inherited: Mapping[str, str],
    devices: Path,
) -> Path:
    """As `sparkd.runtimes.build`, which is what everybody calls."""
    with locked(root, report) as lock:
        clear_unfinished(root)
        if folder := built(runtime, root):
            report(f"Runtime {runtime.name!r} is built: {folder}")
            if go_forward(root, runtime.name):
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
        ).carry_out()


class _Build:
    """One build, while the lock is held."""

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
        self.environ = tools.environment(root, inherited)
        self.lock = lock

    def carry_out(self) -> Path:
        """Builds, verifies and puts in place."""
        began = time.monotonic()
        wanted = fingerprint(self.runtime)
        self._require_space()
        python, version = self._find_python()
        folder = self.root / folder_name(self.runtime.name, wanted, version)
        self.report(f"Building runtime {self.runtime.name!r} with Python {version} …")
        with self._building(folder) as building:
            self._create(python, building)
            work = building / _WORK
            work.mkdir()
            self._install(version, building, work)
            if self.runtime.steps:
                self._build_steps(python, version, building)
            check = Check(self.runtime, building, work, self.lock, self.report, self.devices)
            check.fetch(self.environ)
            versions = check.verify()
            shutil.rmtree(work)
            created = time.time()
            record = Record(
                name=self.runtime.name, fingerprint=wanted, python=version, created=created, versions=versions
            )
            finish(building, folder, record)
        go_forward(self.root, self.runtime.name)
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
        """The path and the version of a Python on this machine that will do. uv must not download one."""
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
                f"Install one, for example with `sudo apt-get install {_package(wanted)}`."
            ) from failed
        return path, version

    @contextmanager
    def _building(self, folder: Path) -> Iterator[Path]:
        building = folder.with_name(f"{folder.name}.building-{os.getpid()}")
        try:
            yield building
        finally:
            shutil.rmtree(building, ignore_errors=True)

    def _create(self, python: str, building: Path) -> None:
        try:
            # Relocatable: its programs find their Python beside them, wherever the folder is renamed to.
            self._uv("venv", "--quiet", "--relocatable", "--python", python, str(building))
        except ProgramFailed as failed:
            raise RuntimeBuildError(failed.told("Cannot create a virtualenv")) from failed

    def _install(self, version: str, building: Path, work: Path) -> None:
        links = tools.find_links(self.runtime, self.inherited)
        options = [part for link in links for part in ("--find-links", link)]
        options += self._torch_options(links, version)
        stand_ins = [str(_stand_in(work, name, claimed)) for name, claimed in self.runtime.provides.items()]
        try:
            # --no-deps: the lock is all there is. --compile-bytecode: else the first start of an engine compiles
            # tens of thousands of files, and every start does where the folder cannot be written.
            self._uv(
                *("pip", "install", "--python", str(building / "bin" / "python")),
                *("--no-deps", "--compile-bytecode", *options),
                *("--requirements", str(requirements(self.runtime)), *stand_ins),
                loud=True,
            )
        except ProgramFailed as failed:
            what = f"Cannot install the packages of runtime {self.runtime.name!r}"
            raise RuntimeBuildError(failed.told(what)) from failed

    def _build_steps(self, python: str, version: str, building: Path) -> None:
        headers = self._run((python, "-c", "import sysconfig; print(sysconfig.get_path('include'))")).strip()
        pinned = f"{RECIPE} {sysconfig.get_platform()} {version} {digest_of(requirements(self.runtime))}"
        site = Site(
            runtime=self.runtime,
            root=self.root,
            venv=building,
            pinned=pinned,
            python_headers=Path(headers),
            inherited=self.inherited,
            lock=self.lock,
            report=self.report,
        )
        build_steps(site, lambda wheels: self._install_wheels(wheels, building))
        forget_sources(site)

    def _install_wheels(self, wheels: list[Path], building: Path) -> None:
        try:
            self._uv(
                *("pip", "install", "--python", str(building / "bin" / "python"), "--offline", "--no-index"),
                *("--no-deps", "--compile-bytecode", "--reinstall", *map(str, wheels)),
            )
        except ProgramFailed as failed:
            what = f"Cannot install the packages that runtime {self.runtime.name!r} builds"
            raise RuntimeBuildError(failed.told(what)) from failed

    def _torch_options(self, links: list[str], version: str) -> list[str]:
        """A local build of the pinned PyTorch wins over PyTorch's own index, which may not be reachable."""
        torch = pinned_torch(self.runtime)
        if torch is None or self.runtime.torch_backend is None:
            return []
        tag = f"cp{''.join(version.split('.')[:2])}"
        if tools.has_wheel(links, "torch", torch, tag, platform.machine()):
            return []
        return ["--torch-backend", self.runtime.torch_backend]

    def _uv(self, *arguments: str, loud: bool = False) -> str:
        return self._run((tools.uv(), *arguments, "--no-python-downloads"), loud=loud)

    def _run(self, argv: tuple[str, ...], *, loud: bool = False) -> str:
        return run(
            argv,
            directory=self.root,
            environ=self.environ,
            lock=self.lock,
            report=self._report_indented if loud else lambda _: None,
            terminal=loud and self.terminal,
        )

    def _report_indented(self, line: str) -> None:
        self.report(f"  {line.strip()}")


def _package(python: str) -> str:
    """The Debian package that is likely to satisfy a version specifier such as ">=3.12,<3.14"."""
    lowest = python.partition(",")[0].lstrip("=>~ ")
    return f"python{'.'.join(lowest.split('.')[:2])}"


def _stand_in(work: Path, name: str, version: str) -> Path:
    """A wheel with nothing in it but a name and a version.

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

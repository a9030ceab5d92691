"""A stand-in runtime: a real virtualenv with one program, and folders of modules for a launcher to import."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from sparkd.engines.engine import Command, Exit
from sparkd.launcher.launcher import Launcher, LauncherSpec
from sparkd.processes.children import PR_SET_CHILD_SUBREAPER
from sparkd.processes.log import Log
from sparkd.processes.process import Process

PROGRAM: Final = Path(__file__).with_name("standin.py")


class Runtime:
    """A virtualenv whose program `standin` runs standin.py. `modules` is a folder in its search path."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        command = (sys.executable, "-m", "venv", "--without-pip", str(folder))
        subprocess.run(command, check=True)
        (site,) = folder.glob("lib/python*/site-packages")
        (site / "standin.py").write_text(PROGRAM.read_text())
        inside = site / "standin-1.0.dist-info"
        inside.mkdir()
        (inside / "METADATA").write_text("Metadata-Version: 2.1\nName: standin\nVersion: 1.0\n")
        (inside / "entry_points.txt").write_text("[console_scripts]\nstandin = standin:main\n")
        self.program = folder / "bin" / "standin"
        script = "import sys\nfrom standin import main\nif __name__ == '__main__':\n    sys.exit(main())\n"
        self.program.write_text(f"#!{folder / 'bin' / 'python'}\n{script}")
        self.program.chmod(0o755)

    def command(self, *arguments: str, environment: Mapping[str, str] | None = None) -> Command:
        """Return the command of an engine."""
        return Command((str(self.program), *arguments), environment or make_environment())

    def spec(
        self, *modules: str, environment: Mapping[str, str] | None = None, build: str = "standin@1"
    ) -> LauncherSpec:
        """Return the spec of a launcher that imports these modules."""
        return LauncherSpec(
            runtime="standin",
            build=build,
            python=str(self.folder / "bin" / "python"),
            modules=modules,
            environment=environment or make_environment(),
            program="1",
        )


def make_environment(modules: Path | None = None, **variables: str) -> dict[str, str]:
    """Return an environment in which `modules` is in the search path."""
    found = {"PYTHONPATH": str(modules)} if modules else {}
    return {"PATH": os.environ["PATH"], "TMPDIR": "/tmp", **found, **variables}


class Place:
    """A folder for one test: a module in it is importable, and each process gets a private folder in it."""

    def __init__(self, folder: Path, runtime: Runtime) -> None:
        self.folder = folder
        self.runtime = runtime
        self.modules = folder / "modules"
        self.modules.mkdir()
        self.environment = make_environment(self.modules)
        self._folders = 0

    def write(self, name: str, text: str) -> None:
        """Write a module, such as "heavy" or "package.heavy"."""
        path = self.modules / (name.replace(".", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def new_folder(self) -> Path:
        """Return the private folder of another process."""
        self._folders += 1
        made = self.folder / f"process-{self._folders}"
        made.mkdir()
        return made

    def command(self, *arguments: str, **variables: str) -> Command:
        """Return the command of an engine."""
        return self.runtime.command(*arguments, environment={**self.environment, **variables})

    @asynccontextmanager
    async def launcher(
        self, *modules: str, log: Log | None = None, **variables: str
    ) -> AsyncIterator[Launcher]:
        """Start a launcher; it may not be ready yet."""
        spec = self.runtime.spec(*modules, environment={**self.environment, **variables})
        started = await Launcher.start(spec, self.new_folder(), log or Log(None), None)
        try:
            yield started
        finally:
            await started.stop()

    async def start_cold(self, command: Command, log: Log, folder: Path | None = None) -> Process:
        """Start an engine as a new program."""
        return await Process.start(command, folder or self.new_folder(), log)

    async def start_warm(
        self,
        launcher: Launcher,
        command: Command,
        log: Log,
        folder: Path | None = None,
        gate: int | None = None,
    ) -> Process:
        """Start an engine from a launcher."""
        private = folder or self.new_folder()

        async def fork(output: int, _: object) -> int:
            return await launcher.fork(command, private, output, None, gate)

        return await Process.start_with(fork, private, log)


async def finish(process: Process) -> Exit:
    """Wait for an engine to exit, and clean up."""
    exited = await process.wait()
    await process.stop(0)
    return exited


def set_subreaper(*, active: bool) -> None:
    """Make this process a subreaper, or no longer."""
    assert ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, int(active), 0, 0, 0) == 0

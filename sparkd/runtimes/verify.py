"""What must hold before a build counts as finished."""

from __future__ import annotations

import importlib.metadata
import sysconfig
from pathlib import Path
from typing import IO

from sparkd.catalog.definitions import Runtime
from sparkd.errors import RuntimeBuildError
from sparkd.runtimes.running import ProgramFailed, Report, run

# Seconds for one check. The first import of a large program on a slow disk takes a minute.
_TIMEOUT = 600.0

_IMPORT = "import importlib, sys\nfor name in sys.argv[1:]: importlib.import_module(name)"


def verify(runtime: Runtime, folder: Path, work: Path, lock: IO[bytes], report: Report) -> None:
    """Checks versions, imports and smoke commands of a build in `folder`. Raises RuntimeBuildError.

    Programs get `work` as their home, so that a check leaves nothing in anybody's.
    """
    _check_versions(runtime, folder)
    environ = _environment(runtime, folder, work)

    def check(failure: str, program: str, *arguments: str) -> None:
        try:
            argv = (str(folder / "bin" / program), *arguments)
            run(argv, directory=work, environ=environ, lock=lock, timeout=_TIMEOUT)
        except ProgramFailed as failed:
            raise RuntimeBuildError(
                failed.told(f"Runtime {runtime.name!r} was built, but {failure}")
            ) from failed

    if runtime.imports:
        modules = ", ".join(runtime.imports)
        report(f"Checking that it imports {modules} …")
        check(f"{modules} cannot be imported", "python", "-c", _IMPORT, *runtime.imports)
    for command in runtime.smoke:
        report(f"Checking that `{' '.join(command)}` answers …")
        check(f"`{' '.join(command)}` failed", *command)


def _check_versions(runtime: Runtime, folder: Path) -> None:
    packages = [sysconfig.get_path("purelib", "venv", {"base": str(folder)})]
    found = {
        distribution.metadata["Name"].lower().replace("_", "-"): distribution.version
        for distribution in importlib.metadata.distributions(path=packages)
    }
    wrong = [
        f"{name} is {found.get(name.lower(), 'missing')}, not {version}"
        for name, version in {**runtime.provides, **runtime.versions}.items()
        if found.get(name.lower()) != version
    ]
    if wrong:
        raise RuntimeBuildError(f"Runtime {runtime.name!r} was built wrong: {'; '.join(wrong)}.")


def _environment(runtime: Runtime, folder: Path, work: Path) -> dict[str, str]:
    return {
        "PATH": f"{folder / 'bin'}:/usr/local/bin:/usr/bin:/bin",
        "HOME": str(work),
        "TMPDIR": str(work),
        "LANG": "C.UTF-8",
        **runtime.environment,
    }

"""sparkctl as its users run it: a process with arguments, an environment and an exit code."""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

_bytecode = tempfile.TemporaryDirectory(prefix="sparkd-bytecode-")
atexit.register(_bytecode.cleanup)


@dataclass(frozen=True, slots=True)
class CommandResult:
    """What came of it."""

    code: int
    out: str
    err: str


def sparkctl(
    *arguments: str | Path,
    environment: dict[str, str] | None = None,
    cwd: Path | None = None,
    stdin: str = "",
) -> CommandResult:
    """Run it to its end, with nothing in its environment that points at another daemon."""
    done = subprocess.run(
        command(*arguments),
        capture_output=True,
        input=stdin.encode(),
        env=clean_environment(environment),
        cwd=cwd,
        timeout=120,
        check=False,
    )
    return CommandResult(done.returncode, done.stdout.decode(), done.stderr.decode())


def command(*arguments: str | Path) -> list[str]:
    """Its argv."""
    return [sys.executable, "-m", "sparkd.cli", *map(str, arguments)]


def clean_environment(more: dict[str, str] | None = None) -> dict[str, str]:
    """This process's environment without what steers sparkctl, and with `more`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SPARKD_")}
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "TERM", "PYTHONDONTWRITEBYTECODE", "SUDO_USER"):
        kept.pop(name, None)
    # Where bytecode is not written each of a hundred processes would compile httpx and rich anew.
    return kept | {"PYTHONPYCACHEPREFIX": _bytecode.name} | (more or {})

"""Starts a program with its output in a pipe, a session of its own, and inside a cgroup."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Final

from sparkd.engines.engine import Command
from sparkd.errors import LaunchError
from sparkd.processes.cgroups import Cgroup

ENTER_CGROUP: Final = 'echo $$ >"$1" && shift && exec "$@"'
"""Shell code that moves a process into its cgroup before its program starts, so that all its forks are inside."""

OOM_SCORE: Final = 500
"""oom_score_adj of an engine. If memory runs out, the kernel must kill an engine and never sparkd, whose -900 the
children would inherit."""


def find_program(command: Command, directory: Path) -> str:
    """Return the program's path, found in the PATH that the program itself gets. Raises LaunchError."""
    name = command.argv[0]
    if "/" in name:
        # Relative to its working directory, as in execve.
        path = directory / name
        if not path.exists():
            raise LaunchError(f"cannot start {name}: the file does not exist")
        if path.is_dir() or not os.access(path, os.X_OK):
            raise LaunchError(f"cannot start {name}: it is not an executable file")
        return name
    search_path = command.environment.get("PATH", os.defpath)
    program = shutil.which(name, path=search_path)
    if program is None:
        raise LaunchError(f"cannot start {name}: no program of this name in PATH ({search_path})")
    return program


def explain_error(error: OSError | ValueError, program: str) -> str:
    """Return why the program could not be started, as the end of a sentence."""
    if isinstance(error, ValueError):
        return f"its command line or environment contains an {error}"
    if error.errno == errno.ENOENT and Path(program).exists():
        return "the interpreter named in its first line is missing"
    if error.errno == errno.ENOEXEC:
        return "it is not a program for this machine"
    return error.strerror or str(error)


def spawn_program(
    program: str,
    command: Command,
    directory: Path,
    *,
    output: int,
    cgroup: Cgroup | None,
    pass_fds: Collection[int] = (),
) -> int:
    """Start the program; return its PID. `output` becomes its stdout and stderr. Raises OSError and ValueError."""
    argv = [program, *command.argv[1:]]
    if cgroup:
        argv = ["/bin/sh", "-c", ENTER_CGROUP, "sparkd", str(cgroup.procs_file), *argv]
    popen = subprocess.Popen(
        argv,
        env=dict(command.environment),
        cwd=directory,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
        umask=0o077,
        pass_fds=tuple(pass_fds),
    )
    with suppress(OSError):  # it has already exited
        Path(f"/proc/{popen.pid}/oom_score_adj").write_text(str(OOM_SCORE))
    popen.returncode = 0  # Process waits for it from now on; without a return code, Popen would try to
    return popen.pid

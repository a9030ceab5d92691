"""Replaces this program by the installed one: tests the new program, then executes it with the handover."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, NoReturn

from sparkd.catalog import Catalogue
from sparkd.catalog.reading import read_paths
from sparkd.continuity.handover import FORMAT, Handover, write_handover
from sparkd.continuity.reloading import changed_paths
from sparkd.errors import ReplacementRefused
from sparkd.processes import pids

TRIAL_TIMEOUT: Final = 30.0
"""Seconds to wait for the test of the new program."""

MAX_OUTPUT: Final = 2000
"""Characters of its output that are reported if the test fails."""


class Replacement:
    """A request to replace this program by the installed one. `catalogue` is the one that this program serves."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self.requested = asyncio.Event()
        self._lock = (
            asyncio.Lock()
        )  # a test that still runs at the exec would become a zombie of the next program

    async def prepare(self) -> None:
        """Test whether the installed program can start here and take over; if so, request the replacement.

        Raises ReplacementRefused if it cannot.
        """
        async with self._lock:
            if self.requested.is_set():
                raise ReplacementRefused("sparkd is replacing itself already")
            await asyncio.to_thread(_check_paths, self._catalogue)
            trial = await asyncio.to_thread(_run_trial)
            if trial.returncode != 0:
                text = (trial.stdout or "").strip()[
                    -MAX_OUTPUT:
                ] or f"it exited with status {trial.returncode}"
                raise ReplacementRefused(f"the installed sparkd would not start in place of this one: {text}")
            self.requested.set()


def exec_replacement(handover: Handover, environment: Mapping[str, str]) -> NoReturn:
    """Execute the new program in this process. Raises OSError if that fails."""
    environment = {**os.environ, **environment, **write_handover(handover)}
    for handler in logging.getLogger().handlers:
        handler.flush()
    command = _own_command()
    os.execve(command[0], command, environment)  # noqa: S606 - there is no shell in it


def kill_children(folders: Iterable[Path]) -> None:
    """Kill all descendants of this process, and every process that works in one of the private `folders`.

    A program that fails must not leave an engine behind.
    """
    import psutil  # noqa: PLC0415 - a successful start does not need it

    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            child.kill()
    for folder in folders:
        for member in pids.find_family(folder, None):
            pids.send_signal(member, signal.SIGKILL)


def _own_command() -> list[str]:
    """Return the command that started this program: the script, not its interpreter, because a new script may need
    another one."""
    script = Path(sys.argv[0])
    if script.suffix != ".py" and os.access(script, os.X_OK):
        return [str(script.absolute()), *sys.argv[1:]]
    return [sys.executable, *sys.orig_argv[1:]]


def _check_paths(catalogue: Catalogue) -> None:
    """Raise ReplacementRefused if folders have changed, because engines use the old ones. The new program checks the
    rest."""
    if changed := changed_paths(catalogue.settings.paths, read_paths(catalogue.path)):
        raise ReplacementRefused(
            f"{' and '.join(changed)} changed in {catalogue.path}; this needs a restart: run "
            "`systemctl restart sparkd`"
        )


def _run_trial() -> subprocess.CompletedProcess[str]:
    command = [*_own_command(), "--check-handover", str(FORMAT)]
    try:
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=TRIAL_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ReplacementRefused(f"cannot start the installed sparkd: {error}") from error

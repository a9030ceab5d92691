"""The program that is to take our place: found, tried, and started with everything that is ours."""

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
"""Seconds that the new program has to say that it would start."""

MAX_OUTPUT: Final = 2000
"""Characters of what it printed that are told where it would not."""


class Replacement:
    """Whether this program is to be replaced by what is installed in its place now. `catalogue` is what it serves."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self.requested = asyncio.Event()
        self._lock = asyncio.Lock()  # a trial that outlasted us would be our successor's zombie

    async def prepare(self) -> None:
        """Try whether the new program would start here and take over, and if so, have it do that soon.

        Raises ReplacementRefused.
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
                raise ReplacementRefused(
                    f"the sparkd that is installed now would not start in this one's place: {text}"
                )
            self.requested.set()


def exec_replacement(handover: Handover, environment: Mapping[str, str]) -> NoReturn:
    """Become the new program. Raises OSError if that cannot even be begun."""
    environment = {**os.environ, **environment, **write_handover(handover)}
    for handler in logging.getLogger().handlers:
        handler.flush()
    command = _own_command()
    os.execve(command[0], command, environment)  # noqa: S606 - there is no shell in it


def kill_children(folders: Iterable[Path]) -> None:
    """End every process that is still below ours, and what has left engines for their private `folders`: a program
    that fails leaves no engine behind."""
    import psutil  # noqa: PLC0415 - a start that goes well need not wait for it

    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            child.kill()
    for folder in folders:
        for member in pids.find_family(folder, None):
            pids.send_signal(member, signal.SIGKILL)


def _own_command() -> list[str]:
    """How this program was started. A script is named, not its interpreter: the new one may want another."""
    script = Path(sys.argv[0])
    if script.suffix != ".py" and os.access(script, os.X_OK):
        return [str(script.absolute()), *sys.argv[1:]]
    return [sys.executable, *sys.orig_argv[1:]]


def _check_paths(catalogue: Catalogue) -> None:
    """Refuse where folders have moved: what runs lives in the old ones. All else is for the next program to judge."""
    if changed := changed_paths(catalogue.settings.paths, read_paths(catalogue.path)):
        raise ReplacementRefused(
            f"{' and '.join(changed)} changed in {catalogue.path}, and that takes a restart "
            "(`systemctl restart sparkd`)"
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
        raise ReplacementRefused(f"the sparkd that is installed now cannot be started: {error}") from error

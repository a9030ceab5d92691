"""Runtimes: `venvs/<name>/` becomes a built, verified, content-addressed virtualenv.

definition.py   the pins of a definition, and its fingerprint
store.py        finished builds on disk, and the one in which engines run
pruning.py      removes old builds, except those from which engines run
tools.py        uv: its path, its environment, and folders with wheels
programs.py     runs the programs of a build, and keeps their output
sources.py      fetches commits, checks them out and patches them
needs.py        checks what a step needs on the machine
steps.py        builds steps from source, each only once
verify.py       checks a build before it counts as finished
building.py     builds a definition into a folder, with one rename at the end
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from sparkd.catalog.runtime import Runtime
from sparkd.runtimes.definition import environment_of
from sparkd.runtimes.store import Build, find_installed, list_builds, roll_back

__all__ = ["Build", "build", "environment_of", "find_installed", "list_builds", "roll_back"]

_DEVICES = Path("/dev")


def build(
    runtime: Runtime,
    root: Path,
    report: Callable[[str], None],
    *,
    terminal: bool = False,
    inherited: Mapping[str, str] = os.environ,
    devices: Path = _DEVICES,
) -> Path:
    """Build `runtime` under `root` unless its finished build exists, and return the build's folder.

    Blocks for minutes, and waits for another build in `root` first. `report` gets lines of progress; with `terminal`,
    uv draws its own progress on the terminal. `inherited` is the environment with the settings of pip and uv,
    `devices` the folder with the devices of NVIDIA's driver. Ends a rollback. Raises RuntimeBuildError; an unfinished
    build never looks finished.
    """
    # Imported only for a build: the daemon needs only the installed builds, and its start must take milliseconds.
    from sparkd.runtimes.building import build_runtime  # noqa: PLC0415

    return build_runtime(runtime, root, report, terminal=terminal, inherited=inherited, devices=devices)

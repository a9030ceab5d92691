"""Runtimes: `venvs/<name>/` becomes a built, verified, content-addressed virtualenv.

definition.py   what a definition pins, and the fingerprint of it
store.py        finished builds on disk, and which of them engines run in
pruning.py      what may be thrown away, and what engines still run from
tools.py        uv: where it is, its environment, where wheels are
running.py      programs of a build: to their end, with their output
sources.py      commits fetched by name, laid out and patched
needs.py        what a step needs on the machine
stepping.py     steps that build from source, none of them twice
verify.py       what must hold before a build counts as finished
building.py     from a definition to a folder, in one rename at the end
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from sparkd.catalog.definitions import Runtime
from sparkd.runtimes.definition import environment_of
from sparkd.runtimes.store import Build, installed, list_builds, roll_back

__all__ = ["Build", "build", "environment_of", "installed", "list_builds", "roll_back"]

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
    """Builds `runtime` under `root` unless its finished build is there, and returns the build's folder.

    Blocks for minutes, waiting for another build in `root` first. Lines of progress go to `report`; with `terminal`
    uv draws its own on ours meanwhile. `inherited` is the environment in which uv looks for pip's settings and its
    own, `devices` where NVIDIA's driver shows its GPUs. A runtime that was rolled back goes forward again. Raises
    RuntimeBuildError; whatever happens, nothing is left that looks finished and is not.
    """
    # Only those who build pay for it: the daemon asks what is installed, and its start is counted in milliseconds.
    from sparkd.runtimes.building import carry_out  # noqa: PLC0415

    return carry_out(runtime, root, report, terminal=terminal, inherited=inherited, devices=devices)

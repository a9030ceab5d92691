"""Builds the command that starts an engine: its address, its runtime, and the memory it may use."""

from __future__ import annotations

import os
from pathlib import Path

from sparkd.catalog import Catalogue
from sparkd.catalog.definitions import Model
from sparkd.engines import ENGINES
from sparkd.engines.engine import Address, Command, LaunchContext, TcpAddress, UnixAddress
from sparkd.engines.environment import cache_folder
from sparkd.errors import LaunchError
from sparkd.processes.ports import LOOPBACK, find_free_port
from sparkd.runtimes import environment_of, find_installed


def build_engine_command(
    model: Model, catalogue: Catalogue, directory: Path, allowance: tuple[int, int]
) -> tuple[Command, Address]:
    """Return the command that starts the model's engine in its private `directory`, and the address it will listen on.

    `allowance` is the memory the engine may use and the machine's total, in bytes. Raises LaunchError.
    """
    engine = ENGINES[model.engine]
    address: Address = (
        UnixAddress(str(directory / "api.sock"))
        if engine.listens_on_socket(model)
        else TcpAddress(LOOPBACK, find_free_port())
    )
    program, environment = _find_runtime(model, catalogue)
    context = LaunchContext(
        program=program,
        environment=environment,
        directory=directory,
        models=catalogue.folder("models"),
        cache=catalogue.folder("state") / "cache",
        address=address,
        inherited=dict(os.environ),
        memory=allowance[0],
        total=allowance[1],
    )
    return engine.build_command(model, context), address


def find_cache_folder(model: Model, catalogue: Catalogue) -> Path:
    """Return the folder that has the caches of the model's engine. Raises LaunchError if its runtime is not built."""
    program, _ = _find_runtime(model, catalogue)
    return cache_folder(catalogue.folder("state") / "cache", program)


def _find_runtime(model: Model, catalogue: Catalogue) -> tuple[Path | None, dict[str, str]]:
    """Return the folder of the runtime's programs, and its environment. Raises LaunchError if it is not built."""
    if model.runtime is None:
        return None, {}
    runtime = catalogue.runtimes[model.runtime]
    folder = find_installed(runtime, catalogue.folder("runtimes"))
    if folder is None:
        raise LaunchError(
            f'runtime "{runtime.name}" is not built: run `sparkctl runtime build {runtime.name}`'
        )
    return folder / "bin", environment_of(runtime)

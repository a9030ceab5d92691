"""Builds what starts an engine: its command, its address, the memory it may use, and the launcher it may start from."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from sparkd.catalog import Catalogue
from sparkd.catalog.definitions import Model
from sparkd.engines import ENGINES
from sparkd.engines.engine import Address, Command, LaunchContext, TcpAddress, UnixAddress
from sparkd.engines.environment import cache_folder
from sparkd.errors import LaunchError
from sparkd.launcher.launcher import LauncherSpec, program_digest
from sparkd.processes.ports import LOOPBACK, find_free_port
from sparkd.runtimes import environment_of, find_installed
from sparkd.runtimes.store import identify_build


class EngineStart(Struct, frozen=True):
    """How an engine starts: `command` cold, or forked from a launcher of this `spec`. Then it gets `warm_environment`.

    `cold_reason` is why it must start cold; empty if it may start warm.
    """

    command: Command
    address: Address
    spec: LauncherSpec | None
    warm_environment: Mapping[str, str]
    cold_reason: str

    @property
    def warm_command(self) -> Command:
        """The command of the engine that is forked."""
        return Command(self.command.argv, {**self.warm_environment, **self.command.environment})


def build_engine_start(
    model: Model, catalogue: Catalogue, directory: Path, allowance: tuple[int, int]
) -> EngineStart:
    """Return how the model's engine starts in its private `directory`, and the address it will listen on.

    `allowance` is the memory the engine may use and the machine's total, in bytes. Raises LaunchError.
    """
    engine = ENGINES[model.engine]
    address: Address = (
        UnixAddress(str(directory / "api.sock"))
        if engine.listens_on_socket(model)
        else TcpAddress(LOOPBACK, find_free_port())
    )
    build, context = _make_context(model, catalogue, directory, address, allowance)
    command = engine.build_command(model, context)
    is_text = _is_text(command)
    return EngineStart(
        command=command,
        address=address,
        spec=_make_launcher_spec(model, context, build) if is_text else None,
        warm_environment=engine.warm_start.environment if engine.warm_start else {},
        cold_reason=find_cold_reason(model, command.environment)
        or ("" if is_text else "its environment is not UTF-8"),
    )


def preview_command(model: Model, catalogue: Catalogue, allowance: tuple[int, int]) -> Command:
    """Return the command that would start the model's engine now, for people to read. Starts nothing.

    The private folder is `<run>`, and the port, which sparkd chooses at each start, is 0. Raises LaunchError.
    """
    engine, directory = ENGINES[model.engine], Path("<run>")
    socket = engine.listens_on_socket(model)
    address: Address = UnixAddress(str(directory / "api.sock")) if socket else TcpAddress(LOOPBACK, 0)
    _, context = _make_context(model, catalogue, directory, address, allowance)
    return engine.build_command(model, context)


def _make_context(
    model: Model, catalogue: Catalogue, directory: Path, address: Address, allowance: tuple[int, int]
) -> tuple[Path | None, LaunchContext]:
    """Return the folder of the runtime's build, and where and with what the engine runs. Raises LaunchError."""
    build, environment = _find_runtime(model, catalogue)
    return build, LaunchContext(
        program=build / "bin" if build else None,
        environment=environment,
        directory=directory,
        models=catalogue.folder("models"),
        cache=catalogue.folder("state") / "cache",
        address=address,
        inherited=dict(os.environ),
        memory=allowance[0],
        total=allowance[1],
    )


def find_cold_reason(model: Model, environment: Mapping[str, str] | None = None) -> str | None:
    """Return why the model's definition makes it start cold, None if it may start warm.

    `environment` is the complete one of its engine, or by default what the model itself sets.
    """
    if not model.warm:
        return "warm = false"
    variables = model.environment if environment is None else environment
    return ENGINES[model.engine].find_warm_obstacle(model, variables)


def launcher_spec(model: Model, catalogue: Catalogue) -> LauncherSpec | None:
    """Return what the launcher of the model's runtime is made of. None if the model cannot start warm.

    Raises LaunchError if the runtime is not built.
    """
    if find_cold_reason(model):
        return None
    return build_engine_start(model, catalogue, Path("/"), (0, 0)).spec


def _make_launcher_spec(model: Model, context: LaunchContext, build: Path | None) -> LauncherSpec | None:
    """Return the spec of the runtime's launcher. Its environment is that of a model that sets no variables."""
    engine = ENGINES[model.engine]
    if engine.warm_start is None or build is None or model.runtime is None:
        return None
    # Libraries that copy TMPDIR at their import use the launcher's, also when the launcher has ended.
    shared = context.cache / build.name / "tmp"
    plain = replace(model, environment={}, encodings=())
    environment = engine.build_command(plain, replace(context, directory=shared)).environment
    return LauncherSpec(
        runtime=model.runtime,
        build=identify_build(build),
        python=str(build / "bin" / "python"),
        modules=engine.warm_start.modules,
        environment={**engine.warm_start.environment, **environment},
        program=program_digest(),
    )


def _is_text(command: Command) -> bool:
    """Whether the command can be sent to a launcher. Inherited variables may contain any bytes."""
    try:
        "".join((*command.argv, *command.environment, *command.environment.values())).encode()
    except UnicodeEncodeError:
        return False
    return True


def find_cache_folder(model: Model, catalogue: Catalogue) -> Path:
    """Return the folder that has the caches of the model's engine. Raises LaunchError if its runtime is not built."""
    build, _ = _find_runtime(model, catalogue)
    return cache_folder(catalogue.folder("state") / "cache", build / "bin" if build else None)


def _find_runtime(model: Model, catalogue: Catalogue) -> tuple[Path | None, dict[str, str]]:
    """Return the folder of the runtime's build, and its environment. Raises LaunchError if it is not built."""
    if model.runtime is None:
        return None, {}
    runtime = catalogue.runtimes[model.runtime]
    folder = find_installed(runtime, catalogue.folder("runtimes"))
    if folder is None:
        raise LaunchError(
            f'runtime "{runtime.name}" is not built: run `sparkctl runtime build {runtime.name}`'
        )
    return folder, environment_of(runtime)

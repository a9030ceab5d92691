"""Checks the models' command lines with the engines' own parsers, before a client waits for a start.

A small program of sparkd/engines/parsers runs in the runtime and checks all models at once, because importing an engine
takes seconds. If a runtime is not built, another one with the same kind of engine can be used instead.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from sparkd.catalog import Catalogue
from sparkd.catalog.definitions import Model
from sparkd.catalog.messages import format_problem, format_value_problem, join_with_or
from sparkd.catalog.nearest import did_you_mean
from sparkd.catalog.quantities import GIB
from sparkd.catalog.runtime import Runtime
from sparkd.cli.output.formatting import abbreviate_list
from sparkd.engines import ENGINES, parsers
from sparkd.engines.engine import Command, LaunchContext, TcpAddress, UnixAddress
from sparkd.engines.flags import find_option_key
from sparkd.errors import LaunchError, RuntimeNotFound
from sparkd.runtimes import environment_of, find_installed

PROGRAM = Path(parsers.__file__).with_name("program.py")

PARSER_TIMEOUT = 300.0
"""Seconds that a parser may take: on a slow disk, the first import of an engine takes a minute."""

DEFAULT_TOTAL_MEMORY = 128 * GIB
"""A GB10's memory, if the catalogue does not set `memory.total`: one of the flags is a share of it."""


MAX_LISTED_CHOICES = 12
"""With more choices than this, a line suggests the nearest one instead of listing all."""


class ParserReport(Struct, frozen=True, kw_only=True):
    """A parser that was used: engine and version, its runtime, the runtimes it was used for, number of models."""

    version: str
    runtime: str
    stand_in_for: list[str]
    models: int


@dataclass(slots=True)
class FlagReport:
    """The result, as lines. `unchecked`: the models that could not be checked, and why."""

    problems: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)
    parsers: list[ParserReport] = field(default_factory=list)


class FlagProblem(Struct, frozen=True):
    """A problem as sparkd/engines/parsers/program.py writes it."""

    flag: str
    kind: str
    text: str
    choices: list[str]


class ParserOutput(Struct, frozen=True):
    """The output of that program."""

    version: str
    flags: list[str]
    problems: dict[str, list[FlagProblem]]


def check_engine_flags(catalogue: Catalogue, models: Iterable[Model], stand_ins: Sequence[str]) -> FlagReport:
    """Check the models. `stand_ins`: `other`, or `name=other`, for runtimes that are not built.

    Raises RuntimeNotFound if one of them does not exist or is not built.
    """
    report = FlagReport()
    built = {
        name: find_installed(known, catalogue.folder("runtimes"))
        for name, known in catalogue.runtimes.items()
    }
    substitutes = _parse_stand_ins(built, stand_ins)
    groups: dict[tuple[str, str], list[Model]] = {}
    unchecked: dict[str, list[str]] = {}
    for model in models:
        name, reason = _choose_parser(catalogue, model, built, substitutes)
        if reason:
            unchecked.setdefault(reason, []).append(model.id)
        else:
            groups.setdefault((name, model.engine), []).append(model)
    report.unchecked = [f"{abbreviate_list(ids)}: {reason}" for reason, ids in unchecked.items()]
    with tempfile.TemporaryDirectory(prefix="sparkd-asking-") as directory:
        for (name, _), group in groups.items():
            program = (built[name] or Path()) / "bin"
            _FlagChecker(catalogue, catalogue.runtimes[name], program, Path(directory), report).check(group)
    report.problems = list(
        dict.fromkeys(report.problems)
    )  # an error in a family appears for each of its models
    return report


def _parse_stand_ins(built: Mapping[str, Path | None], stand_ins: Sequence[str]) -> dict[str, str]:
    """Substitute runtimes, by the name of the runtime they replace; "" for any."""
    substitutes = {}
    for text in stand_ins:
        replaced, separator, other = text.rpartition("=")
        for name in (replaced, other) if separator else (other,):
            if name not in built:
                raise RuntimeNotFound(f'there is no runtime "{name}"{did_you_mean(name, built)}')
        if built[other] is None:
            raise RuntimeNotFound(f'runtime "{other}" is not built: run `sparkctl runtime build {other}`')
        substitutes[replaced] = other
    return substitutes


def _choose_parser(
    catalogue: Catalogue, model: Model, built: Mapping[str, Path | None], substitutes: Mapping[str, str]
) -> tuple[str, str]:
    """The runtime whose parser checks a model, and why none can, or ""."""
    own = model.runtime or ""
    if ENGINES[model.engine].parser is None:
        return own, f'engine "{model.engine}" has no parser to check flags with'
    if built[own] is not None:
        return own, ""
    other = substitutes.get(own) or substitutes.get("")
    peers = {peer.engine for peer in catalogue.models.values() if peer.runtime == other}
    if other and peers <= {model.engine}:
        return other, ""
    build = f"`sparkctl runtime build {own}`, or use --stand-in with one that is built"
    return own, f'not checked, because runtime "{own}" is not built: {build}'


class _FlagChecker:
    """Runs the parser of one runtime, whose programs are in `program`.

    `directory` is where engines would have their sockets and files, if they were started.
    """

    def __init__(
        self, catalogue: Catalogue, runtime: Runtime, program: Path, directory: Path, report: FlagReport
    ) -> None:
        self._catalogue = catalogue
        self._runtime = runtime
        self._program = program
        self._directory = directory
        self._report = report

    def check(self, models: Sequence[Model]) -> None:
        """Check models with engines of one kind."""
        commands: dict[str, Command] = {}
        for model in models:
            try:
                commands[model.id] = self._build_command(model)
            except LaunchError as error:  # a disabled model may be incomplete
                self._report.problems.append(
                    format_problem(*self._catalogue.locate_key(model), error.message)
                )
        checkable = [model for model in models if model.id in commands]
        if not checkable:
            return
        try:
            output = self._run_parser(checkable, commands)
        except _ParserFailed as reason:
            self._report.problems.append(f'runtime "{self._runtime.name}": its parser failed: {reason}')
            return
        for model in checkable:
            for flag_problem in output.problems[model.id]:
                self._report.problems.append(self._describe_problem(model, flag_problem, output))
        replaced_runtimes = [
            model.runtime for model in checkable if model.runtime and model.runtime != self._runtime.name
        ]
        self._report.parsers.append(
            ParserReport(
                version=output.version,
                runtime=self._runtime.name,
                stand_in_for=list(dict.fromkeys(replaced_runtimes)),
                models=len(checkable),
            )
        )

    def _build_command(self, model: Model) -> Command:
        engine, total = ENGINES[model.engine], self._catalogue.settings.memory.total or DEFAULT_TOTAL_MEMORY
        socket = UnixAddress(str(self._directory / "api.sock"))
        context = LaunchContext(
            program=self._program,
            environment=environment_of(self._runtime),
            directory=self._directory,
            models=self._catalogue.folder("models"),
            cache=self._directory,
            address=socket if engine.listens_on_socket(model) else TcpAddress("127.0.0.1", 20001),
            inherited=os.environ,
            memory=min(total, model.memory or total),
            total=total,
        )
        return engine.build_command(model, context)

    def _run_parser(self, models: Sequence[Model], commands: Mapping[str, Command]) -> ParserOutput:
        """Run one process for all of them. Raises _ParserFailed."""
        request = {
            model.id: {"argv": commands[model.id].argv[1:], "variables": list(model.environment)}
            for model in models
        }
        plain = self._build_command(msgspec.structs.replace(models[0], environment={}))
        parser = ENGINES[models[0].engine].parser
        try:
            result = subprocess.run(
                [self._program / "python", PROGRAM, str(parser)],
                input=msgspec.json.encode(request),
                capture_output=True,
                cwd=self._directory,
                env={**plain.environment, "HF_HUB_OFFLINE": "1"},
                timeout=PARSER_TIMEOUT,
                check=True,
            )
            # An engine may print other lines while it is imported and when it exits.
            outputs = [line for line in result.stdout.splitlines() if line.startswith(b'{"version"')]
            return msgspec.json.decode(outputs[-1], type=ParserOutput)
        except subprocess.TimeoutExpired as error:
            raise _ParserFailed(f"no answer within {PARSER_TIMEOUT:g} seconds") from error
        except subprocess.CalledProcessError as error:
            last_line = error.stderr.decode(errors="replace").strip().splitlines()[-1:] or [str(error)]
            raise _ParserFailed(last_line[0]) from error
        except IndexError as error:
            raise _ParserFailed("it printed no result") from error
        except (OSError, msgspec.MsgspecError) as error:
            raise _ParserFailed(str(error)) from error

    def _describe_problem(self, model: Model, flag_problem: FlagProblem, output: ParserOutput) -> str:
        values: Mapping[str, Any] = model.options
        kind, key = "options", find_option_key(model.options, flag_problem.flag)
        if flag_problem.kind == "variable":
            values, kind, key = model.environment, "environment", flag_problem.flag
        value = values[key] if key else None
        text = _problem_text(flag_problem, value, output, ENGINES[model.engine].reserved_options.keys())
        if key is None:  # a flag that sparkd itself adds, or not a single one
            flag = f"{flag_problem.flag}: " if flag_problem.flag else ""
            return format_problem(*self._catalogue.locate_key(model), f"{flag}{text}")
        return format_value_problem(*self._catalogue.locate_key(model, kind, key), value, text)


class _ParserFailed(Exception):
    """A parser gave no result. The message is the reason."""


def _problem_text(flag_problem: FlagProblem, value: object, output: ParserOutput, reserved: Set[str]) -> str:
    name = flag_problem.flag.lstrip("-")
    match flag_problem.kind:
        case "unknown":
            flags = {flag[2:].removeprefix("no-") for flag in output.flags if flag.startswith("--")}
            opposite = name.replace("disable-", "enable-", 1)
            if opposite != name and opposite in flags:
                return f'{output.version} has no such flag; there is "{opposite}"'
            suggestion = did_you_mean(name.removeprefix("no-"), sorted(flags - reserved))
            return f"{output.version} has no such flag{suggestion}"
        case "variable":
            return f"{output.version} knows no such variable{did_you_mean(name, flag_problem.choices)}"
        case "choice":
            suggestion = did_you_mean(str(value), flag_problem.choices)
            if suggestion and len(flag_problem.choices) > MAX_LISTED_CHOICES:
                return (
                    f"is not one of the {len(flag_problem.choices)} that {output.version} knows{suggestion}"
                )
            return f"expected {join_with_or(flag_problem.choices)}{suggestion}"
        case _:
            return flag_problem.text

"""Asks the engines' own parsers what they think of the models' command lines, before anybody waits for a start.

The parser is a runtime's: a small program of sparkd/engines/parsers runs there and takes all models at once, as
importing an engine takes seconds. Where a runtime is not built another one with the same kind of engine may stand in.
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
from sparkd.catalog.definitions import Model, Runtime
from sparkd.catalog.messages import format_problem, format_value_problem, join_with_or
from sparkd.catalog.nearest import did_you_mean
from sparkd.catalog.quantities import GIB
from sparkd.cli.output.formatting import abbreviate_list
from sparkd.engines import ENGINES, parsers
from sparkd.engines.engine import Command, LaunchContext, TcpAddress, UnixAddress
from sparkd.engines.flags import find_option_key
from sparkd.errors import LaunchError, RuntimeNotFound
from sparkd.runtimes import environment_of, find_installed

PROGRAM = Path(parsers.__file__).with_name("program.py")

PARSER_TIMEOUT = 300.0
"""Seconds that a parser may take: importing an engine for the first time takes a minute on a slow disk."""

DEFAULT_TOTAL_MEMORY = 128 * GIB
"""Of a GB10, where the catalogue does not say what the machine has: a share of the memory is one of the flags."""


MAX_LISTED_CHOICES = 12
"""Choices that a line does not list where one of them is probably meant."""


class ParserReport(Struct, frozen=True, kw_only=True):
    """A parser that was asked: its engine and version, its runtime, those it stood in for, about how many models."""

    version: str
    runtime: str
    stood_in_for: list[str]
    models: int


@dataclass(slots=True)
class FlagReport:
    """What came of it, in lines. `unchecked`: which models nobody could be asked about, and why."""

    problems: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)
    asked: list[ParserReport] = field(default_factory=list)


class FlagProblem(Struct, frozen=True):
    """As sparkd/engines/parsers/program.py tells it."""

    flag: str
    problem: str
    text: str
    choices: list[str]


class ParserOutput(Struct, frozen=True):
    """Of that program."""

    version: str
    flags: list[str]
    complaints: dict[str, list[FlagProblem]]


def check_engine_flags(catalogue: Catalogue, models: Iterable[Model], stand_ins: Sequence[str]) -> FlagReport:
    """Ask about the models. `stand_ins`: `other`, or `name=other`, for runtimes that are not built.

    Raises RuntimeNotFound when one of these is not there.
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
    report.problems = list(dict.fromkeys(report.problems))  # a family's mistake is one of each of its models
    return report


def _parse_stand_ins(built: Mapping[str, Path | None], stand_ins: Sequence[str]) -> dict[str, str]:
    """Runtimes that stand in, by the name of the one they stand in for; by "" for any."""
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
    """The runtime whose parser is asked about a model, and why none is, if so."""
    own = model.runtime or ""
    if ENGINES[model.engine].parser is None:
        return own, f'engine "{model.engine}" has no parser that could be asked'
    if built[own] is not None:
        return own, ""
    other = substitutes.get(own) or substitutes.get("")
    peers = {peer.engine for peer in catalogue.models.values() if peer.runtime == other}
    if other and peers <= {model.engine}:
        return other, ""
    build = f"`sparkctl runtime build {own}`, or --stand-in with one that is built"
    return own, f'nobody asked, as runtime "{own}" is not built: {build}'


class _FlagChecker:
    """Asks the parser of one runtime, whose programs are in `program`.

    `directory` is where engines would listen and keep files, if they were started.
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
        """Ask about models with engines of one kind."""
        commands: dict[str, Command] = {}
        for model in models:
            try:
                commands[model.id] = self._build_command(model)
            except LaunchError as error:  # a disabled model may be defined by half
                self._report.problems.append(
                    format_problem(*self._catalogue.locate_key(model), error.message)
                )
        checkable = [model for model in models if model.id in commands]
        if not checkable:
            return
        try:
            output = self._run_parser(checkable, commands)
        except _ParserFailed as reason:
            self._report.problems.append(
                f'runtime "{self._runtime.name}": its parser could not be asked: {reason}'
            )
            return
        for model in checkable:
            for flag_problem in output.complaints[model.id]:
                self._report.problems.append(self._describe_problem(model, flag_problem, output))
        replaced_runtimes = [
            model.runtime for model in checkable if model.runtime and model.runtime != self._runtime.name
        ]
        self._report.asked.append(
            ParserReport(
                version=output.version,
                runtime=self._runtime.name,
                stood_in_for=list(dict.fromkeys(replaced_runtimes)),
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
        """One process for all of them. Raises _ParserFailed."""
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
            # What an engine says while it is imported, and at its end, comes before and after.
            outputs = [line for line in result.stdout.splitlines() if line.startswith(b'{"version"')]
            return msgspec.json.decode(outputs[-1], type=ParserOutput)
        except subprocess.TimeoutExpired as error:
            raise _ParserFailed(f"no answer within {PARSER_TIMEOUT:g} seconds") from error
        except subprocess.CalledProcessError as error:
            last_line = error.stderr.decode(errors="replace").strip().splitlines()[-1:] or [str(error)]
            raise _ParserFailed(last_line[0]) from error
        except IndexError as error:
            raise _ParserFailed("it said nothing") from error
        except (OSError, msgspec.MsgspecError) as error:
            raise _ParserFailed(str(error)) from error

    def _describe_problem(self, model: Model, flag_problem: FlagProblem, output: ParserOutput) -> str:
        values: Mapping[str, Any] = model.options
        kind, key = "options", find_option_key(model.options, flag_problem.flag)
        if flag_problem.problem == "variable":
            values, kind, key = model.environment, "environment", flag_problem.flag
        value = values[key] if key else None
        text = _problem_text(flag_problem, value, output, ENGINES[model.engine].reserved_options.keys())
        if key is None:  # a flag that sparkd itself wrote, or no single one
            flag = f"{flag_problem.flag}: " if flag_problem.flag else ""
            return format_problem(*self._catalogue.locate_key(model), f"{flag}{text}")
        return format_value_problem(*self._catalogue.locate_key(model, kind, key), value, text)


class _ParserFailed(Exception):
    """A parser gave no answer. The message says why."""


def _problem_text(flag_problem: FlagProblem, value: object, output: ParserOutput, reserved: Set[str]) -> str:
    name = flag_problem.flag.lstrip("-")
    match flag_problem.problem:
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
                return f"is none of the {len(flag_problem.choices)} that {output.version} knows{suggestion}"
            return f"expected {join_with_or(flag_problem.choices)}{suggestion}"
        case _:
            return flag_problem.text

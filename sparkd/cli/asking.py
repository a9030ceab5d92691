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
from sparkd.cli.wording import some
from sparkd.engines import ENGINES, parsers
from sparkd.engines.engine import Command, LaunchContext, TcpAddress, UnixAddress
from sparkd.engines.flags import find_option_key
from sparkd.errors import LaunchError, RuntimeNotFound
from sparkd.runtimes import environment_of, find_installed

PROGRAM = Path(parsers.__file__).with_name("program.py")

PATIENCE = 300.0
"""Seconds that a parser may take: importing an engine for the first time takes a minute on a slow disk."""

TOTAL = 128 * GIB
"""Of a GB10, where the catalogue does not say what the machine has: a share of the memory is one of the flags."""


MANY = 12
"""Choices that a line does not list where one of them is probably meant."""


class Parser(Struct, frozen=True, kw_only=True):
    """A parser that was asked: its engine and version, its runtime, those it stood in for, about how many models."""

    version: str
    runtime: str
    stood_in_for: list[str]
    models: int


@dataclass(slots=True)
class Found:
    """What came of it, in lines. `unasked`: which models nobody could be asked about, and why."""

    problems: list[str] = field(default_factory=list)
    unasked: list[str] = field(default_factory=list)
    asked: list[Parser] = field(default_factory=list)


class Complaint(Struct, frozen=True):
    """As sparkd/engines/parsers/program.py tells it."""

    flag: str
    problem: str
    text: str
    choices: list[str]


class Answer(Struct, frozen=True):
    """Of that program."""

    version: str
    flags: list[str]
    complaints: dict[str, list[Complaint]]


def ask_parsers(catalogue: Catalogue, models: Iterable[Model], stand_ins: Sequence[str]) -> Found:
    """Ask about the models. `stand_ins`: `other`, or `name=other`, for runtimes that are not built.

    Raises RuntimeNotFound when one of these is not there.
    """
    found = Found()
    built = {
        name: find_installed(known, catalogue.folder("runtimes"))
        for name, known in catalogue.runtimes.items()
    }
    substitutes = _substitutes(built, stand_ins)
    groups: dict[tuple[str, str], list[Model]] = {}
    unasked: dict[str, list[str]] = {}
    for model in models:
        name, why = _parser_of(catalogue, model, built, substitutes)
        if why:
            unasked.setdefault(why, []).append(model.id)
        else:
            groups.setdefault((name, model.engine), []).append(model)
    found.unasked = [f"{some(ids)}: {why}" for why, ids in unasked.items()]
    with tempfile.TemporaryDirectory(prefix="sparkd-asking-") as directory:
        for (name, _), group in groups.items():
            program = (built[name] or Path()) / "bin"
            _Asking(catalogue, catalogue.runtimes[name], program, Path(directory), found).ask(group)
    found.problems = list(dict.fromkeys(found.problems))  # a family's mistake is one of each of its models
    return found


def _substitutes(built: Mapping[str, Path | None], stand_ins: Sequence[str]) -> dict[str, str]:
    """Runtimes that stand in, by the name of the one they stand in for; by "" for any."""
    substitutes = {}
    for text in stand_ins:
        whose, given, other = text.rpartition("=")
        for name in (whose, other) if given else (other,):
            if name not in built:
                raise RuntimeNotFound(f'there is no runtime "{name}"{did_you_mean(name, built)}')
        if built[other] is None:
            raise RuntimeNotFound(f'runtime "{other}" is not built: run `sparkctl runtime build {other}`')
        substitutes[whose] = other
    return substitutes


def _parser_of(
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


class _Asking:
    """Asks the parser of one runtime, whose programs are in `program`.

    `directory` is where engines would listen and keep files, if they were started.
    """

    def __init__(
        self, catalogue: Catalogue, runtime: Runtime, program: Path, directory: Path, found: Found
    ) -> None:
        self._catalogue = catalogue
        self._runtime = runtime
        self._program = program
        self._directory = directory
        self._found = found

    def ask(self, models: Sequence[Model]) -> None:
        """Ask about models with engines of one kind."""
        commands: dict[str, Command] = {}
        for model in models:
            try:
                commands[model.id] = self._command(model)
            except LaunchError as error:  # a disabled model may be defined by half
                self._found.problems.append(format_problem(*self._catalogue.locate_key(model), error.message))
        askable = [model for model in models if model.id in commands]
        if not askable:
            return
        try:
            answer = self._run(askable, commands)
        except _Silent as why:
            self._found.problems.append(
                f'runtime "{self._runtime.name}": its parser could not be asked: {why}'
            )
            return
        for model in askable:
            for complaint in answer.complaints[model.id]:
                self._found.problems.append(self._told(model, complaint, answer))
        others = [model.runtime for model in askable if model.runtime and model.runtime != self._runtime.name]
        self._found.asked.append(
            Parser(
                version=answer.version,
                runtime=self._runtime.name,
                stood_in_for=list(dict.fromkeys(others)),
                models=len(askable),
            )
        )

    def _command(self, model: Model) -> Command:
        engine, total = ENGINES[model.engine], self._catalogue.settings.memory.total or TOTAL
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

    def _run(self, models: Sequence[Model], commands: Mapping[str, Command]) -> Answer:
        """One process for all of them. Raises _Silent."""
        asked = {
            model.id: {"argv": commands[model.id].argv[1:], "variables": list(model.environment)}
            for model in models
        }
        plain = self._command(msgspec.structs.replace(models[0], environment={}))
        parser = ENGINES[models[0].engine].parser
        try:
            ran = subprocess.run(
                [self._program / "python", PROGRAM, str(parser)],
                input=msgspec.json.encode(asked),
                capture_output=True,
                cwd=self._directory,
                env={**plain.environment, "HF_HUB_OFFLINE": "1"},
                timeout=PATIENCE,
                check=True,
            )
            # What an engine says while it is imported, and at its end, comes before and after.
            answers = [line for line in ran.stdout.splitlines() if line.startswith(b'{"version"')]
            return msgspec.json.decode(answers[-1], type=Answer)
        except subprocess.TimeoutExpired as error:
            raise _Silent(f"no answer within {PATIENCE:g} seconds") from error
        except subprocess.CalledProcessError as error:
            last = error.stderr.decode(errors="replace").strip().splitlines()[-1:] or [str(error)]
            raise _Silent(last[0]) from error
        except IndexError as error:
            raise _Silent("it said nothing") from error
        except (OSError, msgspec.MsgspecError) as error:
            raise _Silent(str(error)) from error

    def _told(self, model: Model, complaint: Complaint, answer: Answer) -> str:
        values: Mapping[str, Any] = model.options
        kind, key = "options", find_option_key(model.options, complaint.flag)
        if complaint.problem == "variable":
            values, kind, key = model.environment, "environment", complaint.flag
        value = values[key] if key else None
        text = _text(complaint, value, answer, ENGINES[model.engine].reserved_options.keys())
        if key is None:  # a flag that sparkd itself wrote, or no single one
            flag = f"{complaint.flag}: " if complaint.flag else ""
            return format_problem(*self._catalogue.locate_key(model), f"{flag}{text}")
        return format_value_problem(*self._catalogue.locate_key(model, kind, key), value, text)


class _Silent(Exception):
    """A parser gave no answer. The message says why."""


def _text(complaint: Complaint, value: object, answer: Answer, reserved: Set[str]) -> str:
    name = complaint.flag.lstrip("-")
    match complaint.problem:
        case "unknown":
            flags = {flag[2:].removeprefix("no-") for flag in answer.flags if flag.startswith("--")}
            opposite = name.replace("disable-", "enable-", 1)
            if opposite != name and opposite in flags:
                return f'{answer.version} has no such flag; there is "{opposite}"'
            meant = did_you_mean(name.removeprefix("no-"), sorted(flags - reserved))
            return f"{answer.version} has no such flag{meant}"
        case "variable":
            return f"{answer.version} knows no such variable{did_you_mean(name, complaint.choices)}"
        case "choice":
            meant = did_you_mean(str(value), complaint.choices)
            if meant and len(complaint.choices) > MANY:
                return f"is none of the {len(complaint.choices)} that {answer.version} knows{meant}"
            return f"expected {join_with_or(complaint.choices)}{meant}"
        case _:
            return complaint.text

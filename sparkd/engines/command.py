"""Any program that serves HTTP: SGLang, llama-server, Ollama. Its command line is in the catalogue."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from sparkd.catalog.definitions import PLACEHOLDERS, Model
from sparkd.engines.causes import COMMON_FAILURES, explain_exit
from sparkd.engines.engine import (
    ENGINE,
    Cause,
    Command,
    Exit,
    HealthErrors,
    LaunchContext,
    Milestone,
    UnixAddress,
    WarmStart,
)
from sparkd.engines.environment import build_environment, model_file_variables
from sparkd.errors import LaunchError

_placeholder = re.compile("{(" + "|".join(PLACEHOLDERS) + ")}")


class CommandEngine:
    """The program that a model's `command` names.

    `{host}` and `{port}`, or `{socket}`, are the address to listen on; `{source}`, `{model}` and `{context_length}` are
    the model's. They are filled in, in `command` and in the values of `environment`; other braces stay as they are.
    `options` cannot be set for such a command.
    """

    name = "command"
    reserved_options: Mapping[str, str] = MappingProxyType({})
    # 408, 425, 429 and 503 may mean that it loads or is busy (llama-server: 503), 502 and 504 that a proxy waits.
    # A simple server may answer 500 while a thread of it loads the model.
    health_errors = HealthErrors(timeout=60.0, inconclusive=frozenset({408, 425, 429, 502, 503, 504}))
    parser: str | None = None
    warm_start: WarmStart | None = None
    first_milestone: Milestone | None = None

    def find_warm_obstacle(self, model: Model, environment: Mapping[str, str]) -> str | None:  # noqa: ARG002
        """Always an obstacle."""
        return "a command may be any program"

    def find_problems(self, model: Model) -> list[str]:
        """Problems with the model's definition."""
        if not model.command:
            return ['engine "command" needs a command']
        used = _used_placeholders(model)
        problems = [
            f"its command uses {{{name}}}, but it has no {name}"
            for name in ("source", "context_length")
            if name in used and getattr(model, name) is None
        ]
        if model.options:
            problems.append('engine "command" takes no options: put them into the command')
        if "socket" in used and "port" in used:
            problems.append("its command uses both {socket} and {port}")
        if "socket" not in used and "port" not in used:
            problems.append("its command needs the address to listen on: {port} or {socket}")
        return problems

    def listens_on_socket(self, model: Model) -> bool:
        """Whether its command has a `{socket}`."""
        return "socket" in _used_placeholders(model)

    def build_command(self, model: Model, context: LaunchContext) -> Command:
        """The command with all placeholders filled in. Raises LaunchError."""
        if problems := self.find_problems(model):
            raise LaunchError(f"model {model.id}: {'; '.join(problems)}")
        values = _placeholder_values(model, context)

        def fill(text: str) -> str:
            return _placeholder.sub(lambda found: values[found[1]], text)

        shared = {**model_file_variables(model, context), "PYTHONUNBUFFERED": "1"}
        variables = build_environment(model, context, shared, may_download=True)
        own = {name: fill(value) for name, value in model.environment.items()}
        return Command(tuple(map(fill, model.command)), variables | own | {"TMPDIR": variables["TMPDIR"]})

    def parse_milestone(self, line: str) -> Milestone | None:  # noqa: ARG002 - such a program is unknown
        """None: the lines of such a program are unknown."""
        return None

    def name_vital_process(self, name: str) -> str | None:  # noqa: ARG002 - such a program is unknown
        """None: it may start a process again that has ended."""
        return None

    def explain_exit(self, exit_: Exit, lines: Sequence[str], process: str = ENGINE) -> Cause:
        """Why it ended, from lines that any program may print."""
        return explain_exit(exit_, lines, COMMON_FAILURES, process)

    def implied_footprint(self, model: Model, total: int) -> int | None:  # noqa: ARG002
        """None: the flags of such a program are unknown."""
        return None


def _used_placeholders(model: Model) -> set[str]:
    """Names of the placeholders that the model's command and environment use."""

    def texts() -> Iterator[str]:
        yield from model.command
        yield from model.environment.values()

    return {name for text in texts() for name in _placeholder.findall(text)}


def _placeholder_values(model: Model, context: LaunchContext) -> dict[str, str]:
    address = context.address
    listen_values = (
        {"socket": address.path, "host": "", "port": ""}
        if isinstance(address, UnixAddress)
        else {"socket": "", "host": address.host, "port": str(address.port)}
    )
    return {
        **listen_values,
        "source": model.source or "",
        "model": model.id,
        "context_length": str(model.context_length or ""),
    }

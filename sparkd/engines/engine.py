"""The interface of every engine kind, as pure functions: plain data in, plain data out."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Literal, Protocol

from msgspec import Struct

from sparkd.catalog.definitions import Model

CauseKind = Literal[
    "out_of_memory",
    "bad_option",
    "missing_model",
    "address_in_use",
    "context_too_long",
    "illegal_instruction",
    "disk_full",
    "start_timeout",
    "engine_wedged",
    "launch_failed",
    "engine_died",
    "unhealthy",
    "repeated_error",
    "unknown",
]


class UnixAddress(Struct, frozen=True):
    """A Unix socket that an engine listens on."""

    path: str

    def __str__(self) -> str:
        return f"unix:{self.path}"


class TcpAddress(Struct, frozen=True):
    """A loopback port that an engine listens on."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


Address = UnixAddress | TcpAddress


def parse_address(text: str) -> Address:
    """Parse the text form of an address."""
    if text.startswith("unix:"):
        return UnixAddress(text.removeprefix("unix:"))
    host, _, port = text.rpartition(":")
    return TcpAddress(host, int(port))


class Command(Struct, frozen=True):
    """A program to start: its complete argv and environment (nothing is inherited)."""

    argv: tuple[str, ...]
    environment: Mapping[str, str]


class LaunchContext(Struct, frozen=True):
    """Where and with what an engine runs.

    `program` is the runtime's folder of programs (`…/bin`), None without a runtime. `environment` is the runtime's.
    `directory` is private to the process (its TMPDIR and working directory). `cache` has files that engines can build
    again. `inherited` is sparkd's own environment: engines take a short list of names from it. `memory` is what the
    engine may use and `total` what the machine has, in bytes; None if it is not passed on.
    """

    program: Path | None
    environment: Mapping[str, str]
    directory: Path
    models: Path
    cache: Path
    address: Address
    inherited: Mapping[str, str]
    memory: int | None = None
    total: int | None = None


class WarmStart(Struct, frozen=True):
    """How an engine starts from a process that has imported its modules already.

    `modules` are imported in this order: "NAME if cuda" and "NAME if cpu" only if PyTorch is built so. `environment`
    are variables of that process and of the engines forked from it, unless a model sets them. `early_phases` are the
    phases of its milestones that take seconds for any model.
    """

    modules: tuple[str, ...]
    environment: Mapping[str, str]
    early_phases: tuple[str, ...]


class Milestone(Struct, frozen=True):
    """A step of loading, read from a log line. `progress` is 0 to 1, None if the line has none."""

    phase: str
    progress: float | None = None


class Cause(Struct, frozen=True):
    """Why a process failed: one sentence (in lower case: it follows a colon), and one fix if known."""

    kind: CauseKind
    sentence: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.sentence} {self.remedy}".rstrip()


class Exit(Struct, frozen=True):
    """How a process ended: an exit code, or the signal that killed it. Neither if that is unknown."""

    code: int | None
    signal: int | None = None

    def __str__(self) -> str:
        if self.signal is None:
            return "exit code unknown" if self.code is None else f"exit code {self.code}"
        try:
            return f"killed by {signal.Signals(self.signal).name}"
        except ValueError:
            return f"killed by signal {self.signal}"


class HealthErrors(Struct, frozen=True):
    """When errors of the health path mean that an engine has failed.

    It has failed after `timeout` seconds of errors only. `inconclusive` statuses never count: such an engine may answer
    them while it loads, or if it is busy.
    """

    timeout: float
    inconclusive: frozenset[int] = frozenset()


ENGINE: Final = "the engine"
"""The subject of a cause that is about an engine as a whole."""


class Engine(Protocol):
    """One kind of inference server."""

    name: str

    reserved_options: Mapping[str, str]
    """Options that a model must not set, because sparkd sets or needs them, with the reason. Names have dashes."""

    health_errors: HealthErrors
    """When errors of its health path mean that it has failed."""

    parser: str | None
    """The module of sparkd/engines/parsers that runs the program's own parser; None if there is none."""

    warm_start: WarmStart | None
    """How it starts warm; None if it cannot."""

    first_milestone: Milestone | None
    """What it does before its log shows a step of loading; None if that is unknown."""

    def find_warm_obstacle(self, model: Model, environment: Mapping[str, str]) -> str | None:
        """Why this model must start cold with these variables, None if it may start warm."""
        ...

    def find_problems(self, model: Model) -> list[str]:
        """Problems that the engine finds in the model's definition, one line each."""
        ...

    def listens_on_socket(self, model: Model) -> bool:
        """Whether this model's engine can listen on a Unix socket. If not, it gets a loopback port."""
        ...

    def build_command(self, model: Model, context: LaunchContext) -> Command:
        """The program to start. argv never contains keys or other secrets.

        Raises LaunchError with all `problems` of the model.
        """
        ...

    def parse_milestone(self, line: str) -> Milestone | None:
        """The step of loading that this log line shows, None if it shows none."""
        ...

    def name_vital_process(self, name: str) -> str | None:
        """What the process of this name is, for messages, if the engine cannot work without it. Otherwise None.

        `name` is the kernel's name of the process: the first 15 characters of its title.
        """
        ...

    def explain_exit(self, exit_: Exit, lines: Sequence[str], process: str = ENGINE) -> Cause:
        """Why the process ended, from its last log lines (oldest first): the root cause, not its consequences.

        `process` is what a vital process is, if that has ended and not the engine's main process.
        """
        ...

    def implied_footprint(self, model: Model, total: int) -> int | None:
        """Bytes that the model's options imply on a machine of `total` bytes; None if they imply nothing."""
        ...

"""What every kind of engine can tell, as pure functions: plain data in, plain data out."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from sparkd.catalog.definitions import Model

CauseKind = Literal[
    "out_of_memory",
    "bad_option",
    "missing_model",
    "address_in_use",
    "context_too_long",
    "illegal_instruction",
    "start_timeout",
    "engine_wedged",
    "launch_failed",
    "engine_died",
    "unknown",
]


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """A Unix socket an engine listens on."""

    path: str

    def __str__(self) -> str:
        return f"unix:{self.path}"


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """A loopback port an engine listens on."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


Address = UnixAddress | TcpAddress


def parse_address(text: str) -> Address:
    """The address whose text this is."""
    if text.startswith("unix:"):
        return UnixAddress(text.removeprefix("unix:"))
    host, _, port = text.rpartition(":")
    return TcpAddress(host, int(port))


@dataclass(frozen=True, slots=True)
class Command:
    """A program to start: its whole argv and its whole environment (nothing is inherited)."""

    argv: tuple[str, ...]
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What an engine is told about the place it runs in.

    `program` is the runtime's folder of programs (`…/bin`), None without a runtime; `environment` is the
    runtime's; `directory` is private to the process (its TMPDIR and working folder); `cache` holds what engines
    may build again. `inherited` is sparkd's own environment: engines pick a short list of names from it. `memory` is
    what the engine may take, `total` what the machine has, in bytes; None where it is not told.
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


@dataclass(frozen=True, slots=True)
class Milestone:
    """A step of loading, read from a log line. `progress` is 0 to 1 where the line has one."""

    phase: str
    progress: float | None = None


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a process failed: one sentence, and one remedy where we know one."""

    kind: CauseKind
    sentence: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.sentence} {self.remedy}".rstrip()


@dataclass(frozen=True, slots=True)
class Exit:
    """How a process ended: an exit code, or the signal that killed it."""

    code: int | None
    signal: int | None = None

    def __str__(self) -> str:
        if self.signal is None:
            return f"exit code {self.code}"
        try:
            return f"killed by {signal.Signals(self.signal).name}"
        except ValueError:
            return f"killed by signal {self.signal}"


class Engine(Protocol):
    """One kind of server program."""

    name: str

    reserved_options: Mapping[str, str]
    """Options that sparkd sets itself or must not be set, dashes between their words, and why."""

    parser: str | None
    """The module of sparkd/engines/parsers that asks the program's own parser; None where nobody knows of one."""

    def problems(self, model: Model) -> list[str]:
        """What is wrong with the model's definition as far as its engine is concerned, a line each."""
        ...

    def listens_on_socket(self, model: Model) -> bool:
        """Whether this model's engine can listen on a Unix socket; else it is given a loopback port."""
        ...

    def command(self, model: Model, surroundings: Surroundings) -> Command:
        """The program to start. Keys and other secrets never appear in argv.

        Raises LaunchError with all `problems` of the model.
        """
        ...

    def milestone(self, line: str) -> Milestone | None:
        """The step of loading that this log line announces."""
        ...

    def explain(self, exit_: Exit, lines: Sequence[str]) -> Cause:
        """Why the process ended, from its last log lines (oldest first): the root cause, not its echo."""
        ...

    def footprint(self, model: Model, total: int) -> int | None:
        """Bytes that the model's options imply on a machine of `total` bytes; None where they imply nothing."""
        ...

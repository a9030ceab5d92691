"""A run as passed to the program that replaces this one under the same PID."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from msgspec import Struct

from sparkd.engines.engine import Milestone
from sparkd.processes.log import LogState
from sparkd.supervising.attempt import AttemptSnapshot, WarmStartFailure
from sparkd.supervising.run_figures import RunFigures


class RunSnapshot(Struct, frozen=True, kw_only=True):
    """A run as passed to the program that replaces this one. `definition` is its model as plain values; the other
    fields are those of Run."""

    number: int
    definition: dict[str, Any]
    attempt: AttemptSnapshot
    warm_failure: WarmStartFailure | None
    key: str
    log: str | None
    log_state: LogState
    healthy: bool
    figures: RunFigures
    milestone: Milestone | None = None

    @property
    def log_path(self) -> Path | None:
        """The path of its log file, if it has one."""
        return Path(self.log) if self.log else None

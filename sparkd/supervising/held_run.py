"""A run as it is passed on to the program that replaces this one under the same PID."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from msgspec import Struct

from sparkd.processes.log import Unfinished
from sparkd.processes.process import HeldProcess


class HeldRun(Struct, frozen=True, kw_only=True):
    """A run as it is passed on to the program that replaces ours. `definition` is its model's, as plain values; the
    rest are a Run's."""

    number: int
    definition: dict[str, Any]
    process: HeldProcess
    address: str
    key: str
    log: str | None
    unfinished: Unfinished
    healthy: bool
    load_time: float | None
    phases: dict[str, float]
    launched_with: int | None
    held: int
    peak: int
    available: int

    @property
    def log_path(self) -> Path | None:
        """The file of its log, where it has one."""
        return Path(self.log) if self.log else None

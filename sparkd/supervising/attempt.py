"""One attempt at a run: the private folder, the process and the address of its engine.

A run has a second attempt if the first one has failed in a way that another kind of start may avoid.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from sparkd.engines.engine import Cause, parse_address
from sparkd.launcher.launcher import LauncherSpec
from sparkd.processes.log import Log
from sparkd.processes.process import Process, ProcessSnapshot
from sparkd.processes.run_directories import RunDirectories
from sparkd.upstream.client import Upstream

SAME_WHEN_COLD = frozenset({"bad_option", "missing_model", "context_too_long"})
"""Kinds of causes that do not depend on how the engine was started."""


class WarmStartFailure(Struct, frozen=True):
    """Why a warm start failed. `key` identifies the model's definition; empty if the launcher itself is to blame."""

    key: str
    cause: str


class AttemptSnapshot(Struct, frozen=True, kw_only=True):
    """An attempt as passed to the program that replaces this one."""

    process: ProcessSnapshot
    address: str
    spec: LauncherSpec | None
    cold_reason: str


class Attempt:
    """A started engine. `spec` is that of its runtime's launcher, None if it has none.

    `cold_reason` is why it was not forked from the launcher, empty if it was. `failure` is set if a fork has failed.
    `gate` is the write end of its gate, if it has one: until it is opened, the engine does not start its own processes.
    """

    def __init__(
        self,
        directory: Path,
        process: Process,
        upstream: Upstream,
        *,
        spec: LauncherSpec | None,
        cold_reason: str,
        failure: WarmStartFailure | None = None,
        gate: int | None = None,
    ) -> None:
        self.directory = directory
        self.process = process
        self.upstream = upstream
        self.spec = spec
        self.cold_reason = cold_reason
        self.failure = failure
        self._gate = gate

    @classmethod
    def adopt(cls, snapshot: AttemptSnapshot, log: Log) -> Attempt:
        """Take over the process of an earlier sparkd. Raises LaunchError."""
        return cls(
            Path(snapshot.process.directory),
            Process.adopt(snapshot.process, log),
            Upstream(parse_address(snapshot.address)),
            spec=snapshot.spec,
            cold_reason=snapshot.cold_reason,
        )

    def snapshot(self) -> AttemptSnapshot | None:
        """Return what the next program needs to take it over. None if its process has exited or waits at its gate."""
        process = self.process.snapshot() if self._gate is None else None
        if process is None:
            return None
        return AttemptSnapshot(
            process=process,
            address=str(self.upstream.address),
            spec=self.spec,
            cold_reason=self.cold_reason,
        )

    @property
    def is_warm(self) -> bool:
        """Whether the engine was forked from a launcher."""
        return not self.cold_reason

    def may_differ_cold(self, cause: Cause) -> bool:
        """Whether a cold start may succeed after this attempt ended by `cause`."""
        return self.is_warm and cause.kind not in SAME_WHEN_COLD

    def open_gate(self) -> None:
        """Let the engine start its own processes."""
        if self._gate is not None:
            with suppress(BrokenPipeError):  # it has exited
                os.write(self._gate, b"1")
            self._close_gate()

    async def remove(self, run_directories: RunDirectories) -> None:
        """Kill what is left of its processes, close its connections, and remove its folder with its sockets."""
        self._close_gate()
        await self.process.stop(0)
        await self.upstream.close()
        run_directories.remove(self.directory)

    def _close_gate(self) -> None:
        if self._gate is not None:
            os.close(self._gate)
            self._gate = None

"""Starts an engine: forked from its runtime's launcher where that is possible, otherwise as a new program."""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path
from typing import Any

from msgspec import Struct

from sparkd.catalog import Catalogue
from sparkd.catalog.definitions import Model
from sparkd.errors import LaunchError
from sparkd.journal.handler import event
from sparkd.launcher.launcher import Launcher
from sparkd.processes.cgroups import Cgroup, Cgroups
from sparkd.processes.log import Log
from sparkd.processes.orphans import RunRecord, kill_orphans
from sparkd.processes.process import Process
from sparkd.processes.run_directories import RunDirectories
from sparkd.supervising.attempt import Attempt, WarmStartFailure
from sparkd.supervising.launchers import Launchers
from sparkd.supervising.launching import EngineStart, build_engine_start
from sparkd.upstream.client import Upstream

logger = logging.getLogger(__name__)


class StartRequest(Struct, frozen=True):
    """The start of one engine for run `number` of a model. `key` identifies the model's definition.

    `allowance` is the memory it may use, and the machine's total, in bytes. `end` is done once the start is no longer
    wanted. `cold_reason` is why it must start cold, empty if it may start warm.
    """

    model: Model
    number: int
    key: str
    catalogue: Catalogue
    allowance: tuple[int, int]
    log: Log
    end: asyncio.Future[float]
    cold_reason: str


class EngineStarter:
    """Starts engines in private folders, and in cgroups of their own if there are `cgroups`."""

    def __init__(
        self, run_directories: RunDirectories, cgroups: Cgroups | None, launchers: Launchers
    ) -> None:
        self._run_directories = run_directories
        self._cgroups = cgroups
        self.launchers = launchers

    async def start(self, request: StartRequest, *, gated: bool = False) -> Attempt | None:
        """Start the engine. None if its end is requested before that.

        With `gated`, it starts only if it can start warm, and waits before it starts its own processes. Raises
        LaunchError and OSError.
        """
        if request.end.done():
            return None
        directory = self._run_directories.create(request.model.id, request.number)
        attempt = None
        try:
            start = build_engine_start(request.model, request.catalogue, directory, request.allowance)
            launcher = request.cold_reason or await self._find_launcher(request, start)
            is_wanted = not request.end.done() and not (gated and isinstance(launcher, str))
            if launcher is not None and is_wanted:
                attempt = await self._start(request, start, directory, launcher, gated=gated)
        finally:
            if attempt is None:
                self._run_directories.remove(directory)
        if attempt is not None:
            self._run_directories.record_process(directory, attempt.process.pid)
        return attempt

    async def _find_launcher(self, request: StartRequest, start: EngineStart) -> Launcher | str | None:
        """Return the launcher to fork the engine from, or why there is none. Waits for a launcher's imports.

        None if the start is no longer wanted.
        """
        if start.cold_reason or start.spec is None:
            return start.cold_reason or "it has no runtime"
        finding = asyncio.ensure_future(self.launchers.obtain(start.spec, request.key))
        either: tuple[asyncio.Future[Any], ...] = (finding, request.end)
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not finding.done():
            finding.cancel()
            return None
        launcher = finding.result()
        if isinstance(launcher, str):
            return launcher
        return launcher.find_obstacle(start.warm_command) or launcher

    async def _start(
        self,
        request: StartRequest,
        start: EngineStart,
        directory: Path,
        launcher: Launcher | str,
        *,
        gated: bool,
    ) -> Attempt | None:
        """Start the engine from the launcher; if it cannot fork, cold at once."""
        failure = None
        if isinstance(launcher, Launcher):
            try:
                return await self._fork(request, start, directory, launcher, gated=gated)
            except LaunchError as error:
                await kill_orphans(directory, RunRecord())  # it may have been forked after all
                failure = None if launcher.was_ended else WarmStartFailure("", error.message)
                launcher = f"its warm start failed: {error.message}"
                _log_cold_start(request.model.id, launcher)
            if gated or request.end.done():
                return None
        process = await Process.start(
            start.command,
            directory,
            request.log,
            cgroups=self._cgroups,
            cpu_weight=request.model.cpu_weight,
        )
        return Attempt(
            directory,
            process,
            Upstream(start.address),
            spec=start.spec,
            cold_reason=launcher,
            failure=failure,
        )

    async def _fork(
        self, request: StartRequest, start: EngineStart, directory: Path, launcher: Launcher, *, gated: bool
    ) -> Attempt:
        """Fork the engine from the launcher. Raises LaunchError."""
        reader, gate = os.pipe() if gated else (None, None)

        async def fork(output: int, cgroup: Cgroup | None) -> int:
            return await launcher.fork(start.warm_command, directory, output, cgroup, reader)

        forking = Process.start_with(
            fork, directory, request.log, cgroups=self._cgroups, cpu_weight=request.model.cpu_weight
        )
        try:
            process = await forking
        except BaseException:
            if gate is not None:
                os.close(gate)
            raise
        finally:
            if reader is not None:
                os.close(reader)
        self.launchers.record_fork(launcher)
        return Attempt(
            directory, process, Upstream(start.address), spec=start.spec, cold_reason="", gate=gate
        )


def _log_cold_start(model_id: str, reason: str) -> None:
    logger.warning('Model "%s" starts cold: %s', model_id, reason, extra=event("cold-start", model_id))

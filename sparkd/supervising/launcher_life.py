"""The life of one launcher, from its start until nothing of it is left."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from msgspec import Struct, structs

from sparkd.engines.causes import COMMON_FAILURES, explain_exit
from sparkd.errors import LaunchError
from sparkd.launcher.launcher import Launcher, LauncherSnapshot, LauncherSpec
from sparkd.machine.host_memory import read_anonymous_memory
from sparkd.processes import children
from sparkd.processes.cgroups import Cgroups
from sparkd.processes.log import Log
from sparkd.processes.run_directories import RunDirectories
from sparkd.scheduling.status import LauncherStatus

logger = logging.getLogger(__name__)

LOG_LINES: Final = 50
"""Last lines of a launcher's log that are searched for the cause of its end."""


class LauncherTimes(Struct, frozen=True):
    """Times of launchers, in seconds.

    `ready` is what the imports may take: from a cold disk half a minute. `check` is the interval at which memory is
    measured and unused launchers are found. `unused` is how long a launcher lives without a running model of its
    runtime: it uses half a GiB, and a household that sleeps or is at work wants it afterwards.
    """

    ready: float = 300.0
    check: float = 10.0
    unused: float = 24 * 3600.0


TIMES: Final = LauncherTimes()


class LauncherLife:
    """Drives one launcher. `used_at` is when it was last used, in seconds of the steady clock."""

    def __init__(
        self,
        spec: LauncherSpec,
        number: int,
        *,
        run_directories: RunDirectories,
        cgroups: Cgroups | None,
        ready_timeout: float,
        on_failure: Callable[[LauncherLife, str, bool], None],
    ) -> None:
        """`number` makes its folder unique. Its imports may take `ready_timeout` seconds.

        `on_failure` gets the reason why it cannot be used, and whether that is final for its build.
        """
        self.spec = spec
        self.number = number
        self.used_at = time.monotonic()
        self.launcher: Launcher | None = None
        self._run_directories = run_directories
        self._cgroups = cgroups
        self._ready_timeout = ready_timeout
        self._on_failure = on_failure
        self._directory: Path | None = None
        self._ready: asyncio.Future[Launcher] = asyncio.get_running_loop().create_future()
        self._end_reason = ""
        self._starts = 0

    @property
    def is_ready(self) -> bool:
        """Whether an engine can be forked now."""
        return self._ready.done() and not self._end_reason

    @property
    def memory(self) -> int:
        """Bytes of host memory that it uses. Engines that were forked from it share some of them."""
        return read_anonymous_memory(self.launcher.process.pid) if self.launcher else 0

    async def wait_until_ready(self) -> Launcher:
        """Wait until its imports are done. Raises LaunchError if it ends before, or takes too long."""
        return await asyncio.shield(self._ready)

    def record_fork(self) -> None:
        """Record that an engine was forked from it."""
        self._starts += 1
        self.used_at = time.monotonic()

    async def run(self) -> None:
        """Start it and follow it to its end."""
        try:
            launcher = await self._start()
        except (LaunchError, OSError) as error:
            self._fail(error.message if isinstance(error, LaunchError) else str(error))
            self._remove_directory()
            return
        if self._end_reason:  # it was ended while it was starting
            launcher.kill()
        await self.follow()

    def resume(self, snapshot: LauncherSnapshot) -> Path:
        """Take over a launcher from the previous program; return its folder. Call `follow` then. Raises LaunchError."""
        log = Log(Path(snapshot.log) if snapshot.log else None)
        self.launcher = Launcher.adopt(snapshot, log)
        self._directory = Path(snapshot.process.directory)
        return self._directory

    async def follow(self) -> None:
        """Wait for its imports, then for its end, and clean up."""
        launcher = self.launcher
        if launcher is None:
            return
        try:
            async with asyncio.timeout(self._ready_timeout):
                report = await launcher.wait_until_ready()
        except TimeoutError:
            self._fail(f"its imports took more than {self._ready_timeout:.0f} seconds")
        except LaunchError:
            exited = await launcher.process.wait()
            self._fail(str(explain_exit(exited, launcher.log.tail(LOG_LINES), COMMON_FAILURES)))
        else:
            if report.problem:
                self._fail(report.problem, final=True)
            elif not self._end_reason:
                self._ready.set_result(launcher)
                if report.failed:
                    logger.debug("Modules that engines import themselves: %s", "; ".join(report.failed))
                message = 'The launcher of runtime "%s" is ready: %d modules in %.1f seconds'
                values = self.spec.runtime, report.modules, report.seconds
                logger.info(message, *values, extra={"fields": {"EVENT": "launcher-ready"}})
            exited = await launcher.process.wait()
            self.end(f"it has ended: {exited}")
        await launcher.stop()
        self._remove_directory()

    def end(self, reason: str) -> None:
        """Begin its end. A start that waits for it is cold. Engines that were forked from it live on."""
        if self._end_reason:
            return
        self._end_reason = reason
        logger.info('The launcher of runtime "%s" ends: %s', self.spec.runtime, reason)
        if not self._ready.done():
            self._ready.set_exception(LaunchError(f"the launcher is not ready: {reason}"))
            self._ready.exception()  # retrieved: nobody may be waiting
        if self.launcher is not None:
            self.launcher.kill()

    def status(self) -> LauncherStatus:
        """Return its status."""
        report = self.launcher.report if self.launcher else None
        return LauncherStatus(
            runtime=self.spec.runtime,
            state="ready" if self.is_ready else "starting",
            pid=self.launcher.process.pid if self.launcher else None,
            memory=self.memory or None,
            load_time=report.seconds if report else None,
            starts=self._starts,
        )

    def snapshot(self) -> LauncherSnapshot | None:
        """Return what the next program needs to take it over. None if it is not started, forks, or ends."""
        snapshot = self.launcher.snapshot() if self.launcher and not self._end_reason else None
        return structs.replace(snapshot, number=self.number) if snapshot else None

    async def _start(self) -> Launcher:
        """Start the process. Raises LaunchError and OSError."""
        name = f"launcher {self.spec.runtime}"  # no model has such an id
        self._directory = directory = self._run_directories.create(name, self.number)
        _make_temporary_folder(self.spec)
        log = Log(self._run_directories.new_log_path(name, self.number))
        try:
            children.become_subreaper()
            self.launcher = await Launcher.start(self.spec, directory, log, self._cgroups)
        except BaseException:
            log.close()
            raise
        self._run_directories.record_process(directory, self.launcher.process.pid)
        return self.launcher

    def _fail(self, reason: str, *, final: bool = False) -> None:
        """It cannot be used, unless it was ended on purpose."""
        if not self._end_reason:
            self._on_failure(self, reason, final)
        self.end(reason)

    def _remove_directory(self) -> None:
        if self._directory:
            self._run_directories.remove(self._directory)


def _make_temporary_folder(spec: LauncherSpec) -> None:
    """Make the TMPDIR of the launcher. Libraries that copied its name at their import use it in forked engines."""
    Path(spec.environment["TMPDIR"]).mkdir(mode=0o700, parents=True, exist_ok=True)

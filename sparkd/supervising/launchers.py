"""The launchers of all runtimes: started when a model is wanted, used for its start, and ended when nobody needs them.

A start from a launcher is never worse than one without it. Whatever prevents it is a reason to start cold, which status
and log show.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Final

from msgspec import Struct, field

from sparkd.catalog.settings import Launchers as LauncherSettings
from sparkd.engines.causes import COMMON_FAILURES, explain_exit
from sparkd.errors import LaunchError
from sparkd.launcher.failures import WarmFailure, WarmFailures
from sparkd.launcher.launcher import Launcher, LauncherSnapshot, LauncherSpec
from sparkd.learning.learning import Learning
from sparkd.machine.memory import measure_host_memory
from sparkd.processes import children
from sparkd.processes.cgroups import Cgroups
from sparkd.processes.log import Log
from sparkd.processes.run_directories import RunDirectories
from sparkd.scheduling.status import LauncherStatus
from sparkd.supervising.tasks import Tasks

logger = logging.getLogger(__name__)

READY_TIMEOUT: Final = 300.0
"""Seconds that the imports may take. Cold they take some 20 on a fast disk; a cold engine does them three times."""

CHECK_INTERVAL: Final = 10.0
"""Seconds between two measurements of the launchers' memory."""

LOG_LINES: Final = 50
"""Last lines of a launcher's log that are searched for the cause of its end."""


class _Slot(Struct, eq=False):
    """One launcher, from its start until nothing of it is left. `used_at` is in seconds of the steady clock."""

    spec: LauncherSpec
    ready: asyncio.Future[Launcher]
    directory: Path | None = None
    launcher: Launcher | None = None
    started: float = field(default_factory=time.monotonic)
    used_at: float = field(default_factory=time.monotonic)
    forks: int = 0
    end_reason: str = ""


class Launchers:
    """One launcher per runtime. `on_memory` gets the bytes that all of them use, whenever that changes.

    `has_room` returns whether there is memory for another one.
    """

    def __init__(
        self,
        *,
        run_directories: RunDirectories,
        cgroups: Cgroups | None,
        learning: Learning,
        tasks: Tasks,
        settings: Callable[[], LauncherSettings],
        has_room: Callable[[], bool],
        on_memory: Callable[[int], None],
    ) -> None:
        self._run_directories = run_directories
        self._cgroups = cgroups
        self._learning = learning
        self._tasks = tasks
        self._settings = settings
        self._has_room = has_room
        self._on_memory = on_memory
        self._slots: dict[str, _Slot] = {}
        self._ending: set[_Slot] = set()
        self._numbers = 0
        self._failures = WarmFailures(
            WarmFailure(build=build, model=model, cause=cause, recent=recent)
            for build, model, cause, recent in learning.warm_failures()
        )
        self._off: dict[str, str] = {}
        self._closed = False

    # Use -----------------------------------------------------------------------------------------------------

    def want(self, spec: LauncherSpec) -> None:
        """Start the launcher of this runtime, if it may be used and does not run yet."""
        if self._find_build_reason(spec) is None:
            self._find_or_start(spec)

    def is_ready(self, spec: LauncherSpec) -> bool:
        """Whether an engine could be forked now."""
        slot = self._slots.get(spec.runtime)
        return slot is not None and slot.spec == spec and slot.ready.done()

    async def obtain(self, spec: LauncherSpec, key: str) -> Launcher | str:
        """Return a launcher that has done its imports, or why the model starts cold. Waits for the imports.

        `key` identifies the model's definition.
        """
        if reason := self._find_build_reason(spec) or self._failures.find_reason(spec.build, key):
            return reason
        slot = self._find_or_start(spec)
        if slot is None:
            return "there is no memory for a launcher"
        try:
            async with asyncio.timeout(READY_TIMEOUT):
                launcher = await asyncio.shield(slot.ready)
        except TimeoutError:
            reason = f"its imports took more than {READY_TIMEOUT:.0f} seconds"
            self.record_failure(spec, "", reason)
            self._end(slot, reason)
            return f"the launcher is not ready: {reason}"
        except LaunchError as error:
            return error.message
        slot.used_at = time.monotonic()
        return launcher

    def record_fork(self, launcher: Launcher) -> None:
        """Record that an engine was forked from this launcher."""
        if slot := self._slots.get(launcher.spec.runtime):
            slot.forks += 1
            slot.used_at = time.monotonic()

    def record_success(self, spec: LauncherSpec) -> None:
        """Record that a warm start of this runtime has succeeded."""
        for failure in self._failures.record_success(spec.build):
            self._save(failure)

    def record_failure(self, spec: LauncherSpec, key: str, cause: str, *, final: bool = False) -> None:
        """Record that a warm start has failed where a cold one succeeded. This definition starts cold from now on.

        `key` is empty if the launcher itself is to blame. With `final`, the build is not used warm again.
        """
        self._save(self._failures.add(spec.build, key, cause, final=final))
        if reason := self._find_build_reason(spec):
            message = 'Engines of runtime "%s" start cold until it is rebuilt: %s'
            logger.error(message, spec.runtime, reason, extra={"fields": {"EVENT": "launcher-off"}})

    def forget_failures(self, spec: LauncherSpec) -> None:
        """Forget the failures of this build, as `sparkctl retry` requests."""
        self._failures.clear(spec.build)
        self._off.pop(spec.runtime, None)
        self._learning.clear_warm_failures(spec.build)

    # Life ----------------------------------------------------------------------------------------------------

    async def watch(self, runtimes_in_use: Callable[[], Collection[str]]) -> None:
        """Measure memory, end unused launchers, and reap what engines have left, until cancelled."""
        while True:
            await asyncio.sleep(CHECK_INTERVAL)
            self._check(runtimes_in_use())

    def end_all(self, reason: str) -> None:
        """End all launchers. Engines that were started from them live on."""
        for slot in list(self._slots.values()):
            self._end(slot, reason)

    def close(self) -> None:
        """End all launchers, and start no more."""
        self._closed = True
        self.end_all("sparkd is stopping")

    def status(self) -> tuple[LauncherStatus, ...]:
        """Return the status of each launcher, and of each runtime whose engines start cold after failures."""
        off = (
            LauncherStatus(runtime=runtime, state="off", reason=reason)
            for runtime, reason in self._off.items()
        )
        return (*map(_describe, self._slots.values()), *off)

    # Handover ------------------------------------------------------------------------------------------------

    @property
    def is_transferable(self) -> bool:
        """Whether each launcher can be handed over, or has no process yet that would be lost."""
        return not self._ending and all(
            slot.launcher is not None and slot.launcher.snapshot() is not None
            for slot in self._slots.values()
        )

    def snapshot(self) -> tuple[LauncherSnapshot, ...]:
        """Return what the next program needs to take over the launchers."""
        launchers = (slot.launcher for slot in self._slots.values())
        snapshots = (launcher.snapshot() for launcher in launchers if launcher)
        return tuple(each for each in snapshots if each)

    def resume(self, snapshots: Iterable[LauncherSnapshot]) -> list[Path]:
        """Take over launchers; return their private folders. One that cannot be taken over is left to be killed."""
        directories = []
        for snapshot in snapshots:
            log = Log(Path(snapshot.log) if snapshot.log else None)
            try:
                launcher = Launcher.adopt(snapshot, log)
            except (LaunchError, OSError) as error:
                logger.warning(
                    'Cannot take over the launcher of runtime "%s": %s', snapshot.spec.runtime, error
                )
                continue
            directory = Path(snapshot.process.directory)
            slot = self._add_slot(snapshot.spec)
            slot.directory, slot.launcher = directory, launcher
            self._tasks.start(self._follow(slot, launcher), f"launcher {snapshot.spec.runtime}")
            directories.append(directory)
        return directories

    # Parts ---------------------------------------------------------------------------------------------------

    def _find_or_start(self, spec: LauncherSpec) -> _Slot | None:
        """Return the runtime's launcher. One of another build or environment is replaced. None without memory."""
        slot = self._slots.get(spec.runtime)
        if slot is not None and slot.spec == spec:
            return slot
        if slot is not None:
            self._end(slot, "its runtime has changed")
        if self._closed or not self._has_room():
            return None
        slot = self._add_slot(spec)
        self._tasks.start(self._run(slot), f"launcher {spec.runtime}")
        return slot

    def _add_slot(self, spec: LauncherSpec) -> _Slot:
        slot = self._slots[spec.runtime] = _Slot(spec, asyncio.get_running_loop().create_future())
        return slot

    async def _run(self, slot: _Slot) -> None:
        """Start the launcher and follow it to its end."""
        try:
            launcher = await self._start(slot)
        except (LaunchError, OSError) as error:
            self._fail(slot, getattr(error, "message", str(error)))
            if slot.directory:
                self._run_directories.remove(slot.directory)
            return
        if slot.end_reason:  # it was ended while it was starting
            launcher.kill()
        await self._follow(slot, launcher)

    async def _start(self, slot: _Slot) -> Launcher:
        """Start the process. Raises LaunchError and OSError."""
        spec, name = slot.spec, f"launcher-{slot.spec.runtime}"
        self._numbers += 1
        slot.directory = self._run_directories.create(name, self._numbers)
        Path(spec.environment["TMPDIR"]).mkdir(mode=0o700, parents=True, exist_ok=True)
        log = Log(self._run_directories.new_log_path(name, self._numbers))
        try:
            children.become_subreaper()
            slot.launcher = await Launcher.start(spec, slot.directory, log, self._cgroups)
        except BaseException:
            log.close()
            raise
        self._run_directories.record_process(slot.directory, slot.launcher.process.pid)
        return slot.launcher

    async def _follow(self, slot: _Slot, launcher: Launcher) -> None:
        """Wait for its imports, then for its end, and clean up."""
        try:
            report = await launcher.wait_until_ready()
        except LaunchError:
            exited = await launcher.process.wait()
            self._fail(slot, str(explain_exit(exited, launcher.log.tail(LOG_LINES), COMMON_FAILURES)))
        else:
            if report.problem:
                self.record_failure(slot.spec, "", report.problem, final=True)
                self._end(slot, report.problem)
            else:
                self._report_ready(slot, launcher)
            exited = await launcher.process.wait()
            if not slot.end_reason:
                self._end(slot, str(exited))
                logger.warning('The launcher of runtime "%s" ended: %s', slot.spec.runtime, exited)
        await launcher.stop()
        if slot.directory:
            self._run_directories.remove(slot.directory)
        self._ending.discard(slot)
        self._measure()

    def _report_ready(self, slot: _Slot, launcher: Launcher) -> None:
        report = launcher.report
        if report is None or slot.ready.done():
            return
        slot.ready.set_result(launcher)
        logger.info(
            'The launcher of runtime "%s" is ready: %d modules in %.1f seconds',
            *(slot.spec.runtime, report.modules, report.seconds),
            extra={"fields": {"EVENT": "launcher-ready"}},
        )
        self._measure()

    def _fail(self, slot: _Slot, reason: str) -> None:
        """The launcher could not start, unless it was ended on purpose."""
        if not slot.end_reason:
            self.record_failure(slot.spec, "", reason)
        self._end(slot, reason)

    def _end(self, slot: _Slot, reason: str) -> None:
        """Begin its end. Whoever waits for it starts cold."""
        if self._slots.get(slot.spec.runtime) is slot:
            del self._slots[slot.spec.runtime]
            if slot.launcher is not None:
                self._ending.add(slot)
        if slot.end_reason:
            return
        slot.end_reason = reason
        if not slot.ready.done():
            slot.ready.set_exception(LaunchError(f"the launcher is not ready: {reason}"))
            slot.ready.exception()  # retrieved: nobody may be waiting
        if slot.launcher is not None:
            slot.launcher.kill()
        logger.info('Ending the launcher of runtime "%s": %s', slot.spec.runtime, reason)

    def _check(self, runtimes_in_use: Collection[str]) -> None:
        now, timeout = time.monotonic(), self._settings().idle_timeout
        for runtime, slot in list(self._slots.items()):
            if runtime in runtimes_in_use:
                slot.used_at = now
            if timeout and now >= slot.used_at + timeout:
                self._end(slot, f"unused for {timeout:.0f} seconds")
            elif not Path(slot.spec.python).exists():
                self._end(slot, "its runtime was removed")
        if not any(slot.launcher and slot.launcher.is_forking for slot in self._slots.values()):
            children.reap_adopted()
        self._measure()

    def _measure(self) -> None:
        launchers = [slot.launcher for slot in (*self._slots.values(), *self._ending) if slot.launcher]
        self._on_memory(sum(measure_host_memory([launcher.process.pid]) for launcher in launchers))

    def _find_build_reason(self, spec: LauncherSpec) -> str | None:
        """Return why no engine of this build may start warm, and remember it for the status."""
        self._off.pop(spec.runtime, None)
        if reason := self._failures.find_build_reason(spec.build):
            self._off[spec.runtime] = reason
        return reason

    def _save(self, failure: WarmFailure) -> None:
        self._learning.record_warm_failure(failure.build, failure.model, failure.cause, failure.recent)


def _describe(slot: _Slot) -> LauncherStatus:
    launcher = slot.launcher
    report = launcher.report if launcher else None
    return LauncherStatus(
        runtime=slot.spec.runtime,
        state="ready" if report else "starting",
        pid=launcher.process.pid if launcher else None,
        memory=measure_host_memory([launcher.process.pid]) if launcher else None,
        load_time=report.seconds if report else None,
        starts=slot.forks,
    )

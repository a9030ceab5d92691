"""The launchers of all runtimes: started when a model is wanted, used for its start, and ended when nobody needs them.

A start from a launcher is never worse than one without it. Whatever prevents it is a reason to start cold, which status
and log show.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Coroutine, Iterable
from pathlib import Path

from sparkd.errors import LaunchError
from sparkd.launcher.failures import WarmFailure, WarmFailures
from sparkd.launcher.launcher import Launcher, LauncherSnapshot, LauncherSpec
from sparkd.learning.learning import Learning
from sparkd.processes import children
from sparkd.processes.cgroups import Cgroups
from sparkd.processes.run_directories import RunDirectories
from sparkd.scheduling.status import LauncherStatus
from sparkd.supervising.launcher_life import TIMES, LauncherLife, LauncherTimes
from sparkd.supervising.tasks import Tasks

logger = logging.getLogger(__name__)


class Launchers:
    """One launcher per runtime. `on_memory` gets the bytes that all of them use, now and then.

    `has_room` returns whether there is memory for another one.
    """

    def __init__(
        self,
        *,
        run_directories: RunDirectories,
        cgroups: Cgroups | None,
        learning: Learning,
        tasks: Tasks,
        has_room: Callable[[], bool],
        on_memory: Callable[[int], None],
        times: LauncherTimes = TIMES,
    ) -> None:
        self._run_directories = run_directories
        self._cgroups = cgroups
        self._learning = learning
        self._tasks = tasks
        self._has_room = has_room
        self._on_memory = on_memory
        self._times = times
        self._current: dict[str, LauncherLife] = {}
        self._living: set[LauncherLife] = set()
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

    def is_ready(self, runtime: str | None) -> bool:
        """Whether the runtime has a launcher from which an engine could be forked now."""
        life = self._current.get(runtime or "")
        return life is not None and life.is_ready

    async def obtain(self, spec: LauncherSpec, key: str) -> Launcher | str:
        """Return a launcher that has done its imports, or why the model starts cold. Waits for the imports.

        `key` identifies the model's definition.
        """
        if reason := self._find_build_reason(spec) or self._failures.find_reason(spec.build, key):
            return reason
        life = self._find_or_start(spec)
        if life is None:
            return "there is no memory for a launcher"
        try:
            return await life.wait_until_ready()
        except LaunchError as error:
            return error.message

    def record_fork(self, launcher: Launcher) -> None:
        """Record that an engine was forked from this launcher."""
        if life := self._current.get(launcher.spec.runtime):
            life.record_fork()

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
            life = self._current.get(spec.runtime)
            if life is not None and life.spec.build == spec.build:
                self._end(life, "its runtime's engines start cold")

    def forget_failures(self, spec: LauncherSpec) -> None:
        """Forget the failures of this build, as `sparkctl retry` requests."""
        self._failures.clear(spec.build)
        self._off.pop(spec.runtime, None)
        self._learning.clear_warm_failures(spec.build)

    # Life ----------------------------------------------------------------------------------------------------

    async def watch(self, runtimes_in_use: Callable[[], Collection[str]]) -> None:
        """Measure memory, end unused launchers, and reap what engines have left, until cancelled."""
        while True:
            await asyncio.sleep(self._times.check)
            self._check(runtimes_in_use())

    def reap_adopted(self) -> None:
        """Reap processes that an engine has left to sparkd, unless an engine is being forked: it may be one of them."""
        if not any(life.launcher and life.launcher.is_forking for life in self._living):
            children.reap_adopted()

    def end_all(self, reason: str) -> None:
        """End all launchers. Engines that were started from them live on."""
        for life in list(self._current.values()):
            self._end(life, reason)

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
        return (*(life.status() for life in self._current.values()), *off)

    # Handover ------------------------------------------------------------------------------------------------

    @property
    def is_transferable(self) -> bool:
        """Whether each launcher can be handed over."""
        return all(life.snapshot() is not None for life in self._living)

    def snapshot(self) -> tuple[LauncherSnapshot, ...]:
        """Return what the next program needs to take over the launchers."""
        snapshots = (life.snapshot() for life in self._living)
        return tuple(snapshot for snapshot in snapshots if snapshot)

    def resume(self, snapshots: Iterable[LauncherSnapshot]) -> list[Path]:
        """Take over launchers; return their private folders. One that cannot be taken over is left to be killed."""
        directories = []
        for snapshot in snapshots:
            self._numbers = max(self._numbers, snapshot.number)
            life = self._create(snapshot.spec, snapshot.number)
            try:
                directories.append(life.resume(snapshot))
            except (LaunchError, OSError) as error:
                runtime = snapshot.spec.runtime
                logger.warning('Cannot take over the launcher of runtime "%s": %s', runtime, error)
                continue
            self._current[snapshot.spec.runtime] = life
            self._tasks.start(self._run(life, life.follow()), f"launcher {snapshot.spec.runtime}")
        return directories

    # Parts ---------------------------------------------------------------------------------------------------

    def _find_or_start(self, spec: LauncherSpec) -> LauncherLife | None:
        """Return the runtime's launcher. One of another build or environment is replaced. None without memory."""
        life = self._current.get(spec.runtime)
        if life is not None and life.spec == spec:
            return life
        if life is not None:
            self._end(life, "its runtime has changed")
        if self._closed or not self._has_room():
            return None
        self._numbers += 1
        life = self._current[spec.runtime] = self._create(spec, self._numbers)
        self._tasks.start(self._run(life, life.run()), f"launcher {spec.runtime}")
        return life

    def _create(self, spec: LauncherSpec, number: int) -> LauncherLife:
        return LauncherLife(
            spec,
            number,
            run_directories=self._run_directories,
            cgroups=self._cgroups,
            ready_timeout=self._times.ready,
            on_failure=self._on_failure,
        )

    async def _run(self, life: LauncherLife, work: Coroutine[None, None, None]) -> None:
        self._living.add(life)
        await work
        self._living.discard(life)
        self._forget(life)
        self._measure()

    def _on_failure(self, life: LauncherLife, reason: str, final: bool) -> None:
        self._forget(life)
        self.record_failure(life.spec, "", reason, final=final)

    def _end(self, life: LauncherLife, reason: str) -> None:
        self._forget(life)
        life.end(reason)

    def _forget(self, life: LauncherLife) -> None:
        """Let another launcher of the runtime start."""
        if self._current.get(life.spec.runtime) is life:
            del self._current[life.spec.runtime]

    def _check(self, runtimes_in_use: Collection[str]) -> None:
        now = time.monotonic()
        for runtime, life in list(self._current.items()):
            if runtime in runtimes_in_use:
                life.used_at = now
            if now >= life.used_at + self._times.unused:
                self._end(
                    life, f"no model of its runtime was running for {self._times.unused / 3600:.0f} hours"
                )
            elif not Path(life.spec.python).exists():
                self._end(life, "its runtime was removed")
        self.reap_adopted()
        self._measure()

    def _measure(self) -> None:
        self._on_memory(sum(life.memory for life in self._living))

    def _find_build_reason(self, spec: LauncherSpec) -> str | None:
        """Return why no engine of this build may start warm, and remember it for the status."""
        self._off.pop(spec.runtime, None)
        if reason := self._failures.find_build_reason(spec.build):
            self._off[spec.runtime] = reason
        return reason

    def _save(self, failure: WarmFailure) -> None:
        self._learning.record_warm_failure(failure.build, failure.model, failure.cause, failure.recent)

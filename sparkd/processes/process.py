"""Starts a child process, waits for it, and kills it and everything it forks.

The processes in its cgroup belong to it. Without a cgroup, those that pids.find_family finds belong to it: its
session, its descendants, and every process that works in its private folder. asyncio and uvloop watch children
differently, so this module uses neither: a pidfd becomes readable when the process exits, on both.

A process that has exited stays a zombie until `stop` finds no other process of it. Until then the kernel gives its
PID, which is also the number of its session, to no other process.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Awaitable, Callable, Collection
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Final

from msgspec import Struct

from sparkd.engines.engine import Command, Exit
from sparkd.errors import LaunchError
from sparkd.processes import children, pids
from sparkd.processes.cgroups import ENGINE_WEIGHT, Cgroup, Cgroups
from sparkd.processes.log import Log
from sparkd.processes.output import OutputPipe
from sparkd.processes.spawning import explain_error, find_program, spawn_program

logger = logging.getLogger(__name__)

SIGTERM_TIMES: Final = (0.0, 0.4, 0.6, 0.8)
"""Fractions of the grace period at which SIGTERM is sent. While vLLM loads, it may miss one SIGTERM, and the next one
may make it hang. Once it serves requests, the first one is enough: it exits before the second."""

CHILDREN_GRACE: Final = 0.5
"""Seconds for children to exit by themselves after their parent has exited on SIGTERM."""

POLL_FIRST: Final = 0.005
POLL_LAST: Final = 0.05
"""Seconds between two checks for remaining processes: first, and at most."""

Spawn = Callable[[int, Cgroup | None], Awaitable[int]]
"""Starts a program whose output is this descriptor, in this cgroup; returns its PID. Raises LaunchError."""


class ProcessSnapshot(Struct, frozen=True, kw_only=True):
    """A running process as passed to the program that replaces this one. `output` is the read end of its pipe; None if
    the process has closed its end."""

    pid: int
    start_time: int
    output: int | None
    directory: str
    cgroup: str | None


class Process:
    """A running program with a session of its own; stdin is empty, stdout and stderr go to one Log.

    Belongs to the event loop it was started on. Always call `stop`, even after the process has exited by itself: only
    `stop` kills the processes that it left.
    """

    def __init__(self, pid: int, output: OutputPipe, directory: Path, cgroup: Cgroup | None) -> None:
        self.pid = pid
        self._output = output
        self._directory = directory
        self._cgroup = cgroup
        self._identity = pids.identify(pid) or pids.Identity(pid, -1)
        self._cleaned_up = False
        self._loop = asyncio.get_running_loop()
        self._exit: asyncio.Future[Exit] = self._loop.create_future()
        self._pidfd = os.pidfd_open(pid)
        children.watched.add(pid)
        self._loop.add_reader(self._pidfd, self._on_exit)

    @classmethod
    async def start(
        cls,
        command: Command,
        directory: Path,
        log: Log,
        *,
        cgroups: Cgroups | None = None,
        cpu_weight: int = ENGINE_WEIGHT,
        pass_fds: Collection[int] = (),
    ) -> Process:
        """Start the program in its private `directory`, inside a cgroup of its own if `cgroups` are given.

        `cpu_weight` is that cgroup's share of busy CPUs. The program inherits the descriptors `pass_fds`. Raises
        LaunchError.
        """
        program = find_program(command, directory)

        async def spawn(output: int, cgroup: Cgroup | None) -> int:
            try:
                return spawn_program(
                    program, command, directory, output=output, cgroup=cgroup, pass_fds=pass_fds
                )
            except (OSError, ValueError) as error:
                raise LaunchError(f"cannot start {program}: {explain_error(error, program)}") from error

        return await cls.start_with(spawn, directory, log, cgroups=cgroups, cpu_weight=cpu_weight)

    @classmethod
    async def start_with(
        cls,
        spawn: Spawn,
        directory: Path,
        log: Log,
        *,
        cgroups: Cgroups | None = None,
        cpu_weight: int = ENGINE_WEIGHT,
    ) -> Process:
        """Start a program with `spawn`, which makes it a child of this process. Otherwise as `start`."""
        with ExitStack() as undo:
            try:
                output = OutputPipe(log)
                undo.callback(output.close)
                cgroup = _make_cgroup(cgroups, directory, cpu_weight)
                undo.callback(_remove_cgroup, cgroup)
                try:
                    pid = await spawn(output.writer, cgroup)
                finally:
                    output.close_writer()
                undo.callback(_kill_unwatched, pid)
                process = cls(pid, output, directory, cgroup)
            except OSError as error:
                raise LaunchError(f"cannot start an engine: {error.strerror or error}") from error
            undo.pop_all()
        return process

    @classmethod
    def adopt(cls, snapshot: ProcessSnapshot, log: Log) -> Process:
        """Take over a process that the program before this one started under the same PID.

        Raises LaunchError if the PID now belongs to another process.
        """
        identity = pids.identify(snapshot.pid)
        if identity is None or identity.start_time != snapshot.start_time:
            raise LaunchError(f"PID {snapshot.pid} now belongs to another process")
        output = OutputPipe(log, snapshot.output)
        if snapshot.output is None:
            output.close_writer()
        else:
            os.set_inheritable(snapshot.output, False)
        cgroup = Cgroup(Path(snapshot.cgroup)) if snapshot.cgroup else None
        return cls(snapshot.pid, output, Path(snapshot.directory), cgroup)

    def snapshot(self) -> ProcessSnapshot | None:
        """Return what the next program needs to take it over. None if it has exited."""
        if self._exit.done() or not pids.is_running(self._identity):
            return None
        self._output.drain()
        return ProcessSnapshot(
            pid=self.pid,
            start_time=self._identity.start_time,
            output=self._output.reader,
            directory=str(self._directory),
            cgroup=str(self._cgroup.path) if self._cgroup else None,
        )

    def read_output(self) -> None:
        """Read what its processes have written so far into the log now."""
        self._output.drain()

    async def wait(self) -> Exit:
        """Wait for the process to exit; return how it did. Several tasks may wait. Its children may still run: see
        `stop`."""
        return await asyncio.shield(self._exit)

    def set_cpu_weight(self, cpu_weight: int) -> None:
        """Set its share of busy CPUs."""
        if self._cgroup:
            self._cgroup.set_cpu_weight(cpu_weight)

    def host_memory(self) -> tuple[int | None, int | None]:
        """Return the bytes of host memory that it uses now and used at its peak; None without a cgroup. See Cgroup."""
        return self._cgroup.host_memory() if self._cgroup else (None, None)

    def remaining_pids(self) -> list[int]:
        """Return the PIDs that still run: the process, its descendants, and those that left its session."""
        if self._cleaned_up:
            return []
        if self._cgroup is None:
            return sorted(member.pid for member in pids.find_family(self._directory, self._identity))
        # The process may have started without having moved into its cgroup yet.
        return sorted({*self._cgroup.members(), *([self.pid] if pids.is_running(self._identity) else [])})

    def kill(self) -> None:
        """Send SIGKILL to all of its processes now, without waiting."""
        if self._cleaned_up:
            return
        if self._cgroup:
            self._cgroup.kill()
            pids.send_signal(self._identity, signal.SIGKILL)
        else:
            for member in pids.find_family(self._directory, self._identity):
                pids.send_signal(member, signal.SIGKILL)

    async def stop(self, grace: float) -> None:
        """Stop the process and its children; return when none is left.

        Sends SIGTERM to the process only, because vLLM's API server hangs if its children exit first. Repeats SIGTERM
        during the `grace` seconds, then sends SIGKILL to all. May be called again, with less grace, while an earlier
        call still waits.
        """
        if grace > 0 and not self._exit.done():
            await self._stop_gracefully(grace)
        poll = POLL_FIRST
        while self.remaining_pids():
            self.kill()
            await asyncio.sleep(poll)
            poll = min(poll * 2, POLL_LAST)
        await self.wait()
        self._clean_up()

    async def _stop_gracefully(self, grace: float) -> None:
        """Ask the process to exit by itself, then wait for its children."""
        deadline = self._loop.time() + grace
        for start, end in pairwise((*SIGTERM_TIMES, 1.0)):
            pids.send_signal(self._identity, signal.SIGTERM)
            pids.send_signal(self._identity, signal.SIGCONT)  # a stopped process does not handle a SIGTERM
            await asyncio.wait([self._exit], timeout=grace * (end - start))
            if self._exit.done():
                break
        deadline = min(deadline, self._loop.time() + CHILDREN_GRACE)
        poll = POLL_FIRST
        while self._loop.time() < deadline and self.remaining_pids():
            await asyncio.sleep(poll)
            poll = min(poll * 2, POLL_LAST)

    def _on_exit(self) -> None:
        self._loop.remove_reader(self._pidfd)
        self._output.drain()
        result = os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED | os.WNOWAIT)
        os.close(self._pidfd)
        assert result is not None  # noqa: S101 - for mypy: only WNOHANG returns None
        if result.si_code == os.CLD_EXITED:
            self._exit.set_result(Exit(result.si_status))
        else:
            self._exit.set_result(Exit(None, result.si_status))

    def _clean_up(self) -> None:
        if not self._cleaned_up:
            self._cleaned_up = True
            os.waitid(os.P_PID, self.pid, os.WEXITED)
            children.watched.discard(self.pid)
            self._output.close()
            if self._cgroup:
                self._cgroup.remove()


def _make_cgroup(cgroups: Cgroups | None, directory: Path, weight: int) -> Cgroup | None:
    """Create a cgroup for the process. On failure it starts without one: it can still be found and killed."""
    if cgroups is None:
        return None
    try:
        return cgroups.create(directory.name, weight)
    except OSError as error:
        logger.warning("Cannot create a cgroup in %s: %s", cgroups.base, error.strerror)
        return None


def _remove_cgroup(cgroup: Cgroup | None) -> None:
    if cgroup:
        cgroup.remove()


def _kill_unwatched(pid: int) -> None:
    """Kill a process that was started but cannot be watched, because no file descriptor is left."""
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)

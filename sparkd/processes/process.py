"""One child process and everything it forks: started, waited for, and ended to the last grandchild.

What belongs to it is what is in its cgroup, where it has one; else what pids.belonging finds: its session, its
descendants, and whatever works in its private folder. Nothing here uses the event loop's own way with children,
which differs between asyncio and uvloop: a pidfd becomes readable when the process ends, on both.

The ended process stays a zombie until `stop` has found nothing else of it. So long its PID, which is the number
of its session too, is given to nobody else.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import shutil
import signal
import subprocess
from contextlib import ExitStack, suppress
from itertools import pairwise
from pathlib import Path
from typing import Final

from msgspec import Struct

from sparkd.engines.engine import Command, Exit
from sparkd.errors import LaunchError
from sparkd.processes import pids
from sparkd.processes.cgroups import ENGINE_WEIGHT, Cgroup, Cgroups
from sparkd.processes.log import Log
from sparkd.processes.output import Output

logger = logging.getLogger(__name__)

TERMS: Final = (0.0, 0.4, 0.6, 0.8)
"""Parts of the grace after which SIGTERM is sent. While vLLM loads, one may go unheard and the next wedge it; once
it serves, the first is enough and it is gone before the second."""

CHILDREN_GRACE: Final = 0.5
"""Seconds that children get to end by themselves once their parent has ended politely."""

POLL_FIRST: Final = 0.005
POLL_LAST: Final = 0.05
"""Seconds between two looks at what is left, at first and in the end."""

MOVE_IN: Final = 'echo $$ >"$1" && shift && exec "$@"'
"""Shell words that put a process into its cgroup before its program begins: nothing it forks is ever outside."""

OOM_SCORE: Final = 500
"""Where the kernel does choose a victim it shall be an engine: never sparkd, from which children inherit -900."""


class HeldProcess(Struct, frozen=True, kw_only=True):
    """A running process as it is passed on to the program that replaces ours. `output` is a file descriptor, None
    where it has closed the other end."""

    pid: int
    start_time: int
    output: int | None
    directory: str
    cgroup: str | None


class Process:
    """A running program with a session of its own; stdin is empty, stdout and stderr go to one Log.

    `pid` is its PID. Belongs to the event loop it was started on. Whoever starts one also stops it, even after it
    ended by itself: only `stop` ends what it left behind.
    """

    def __init__(self, pid: int, output: Output, directory: Path, cgroup: Cgroup | None) -> None:
        self.pid = pid
        self._output = output
        self._directory = directory
        self._cgroup = cgroup
        self._identity = pids.identity(pid) or pids.Identity(pid, -1)
        self._swept = False
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[Exit] = self._loop.create_future()
        self._pidfd = os.pidfd_open(pid)
        self._loop.add_reader(self._pidfd, self._on_end)

    @classmethod
    async def start(
        cls,
        command: Command,
        directory: Path,
        log: Log,
        *,
        cgroups: Cgroups | None = None,
        cpu_weight: int = ENGINE_WEIGHT,
    ) -> Process:
        """Start the program in its private `directory`, inside a cgroup of its own if `cgroups` are given.

        `cpu_weight` is that cgroup's share of busy CPUs. Raises LaunchError.
        """
        program = _find(command, directory)
        with ExitStack() as undo:
            try:
                output = Output(log)
                undo.callback(output.close)
                cgroup = _make_cgroup(cgroups, directory, cpu_weight)
                undo.callback(_remove, cgroup)
                pid = _spawn(program, command, directory, output, cgroup)
                undo.callback(_abandon, pid)
                process = cls(pid, output, directory, cgroup)
            except (OSError, ValueError) as error:
                raise LaunchError(f"cannot start {program}: {_reason(error, program)}") from error
            undo.pop_all()
        return process

    @classmethod
    def adopt(cls, held: HeldProcess, log: Log) -> Process:
        """Go on with a process that this very PID started before it replaced its own program.

        Raises LaunchError when it is no child of ours.
        """
        who = pids.identity(held.pid)
        if who is None or who.start_time != held.start_time:
            raise LaunchError(f"PID {held.pid} is another process")
        output = Output(log, held.output)
        if held.output is None:
            output.close_writer()
        else:
            os.set_inheritable(held.output, False)
        cgroup = Cgroup(Path(held.cgroup)) if held.cgroup else None
        return cls(held.pid, output, Path(held.directory), cgroup)

    def hold(self) -> HeldProcess | None:
        """What a successor needs to go on with it; None if it has ended."""
        if self._ended.done() or not pids.lives(self._identity):
            return None
        self._output.drain()
        return HeldProcess(
            pid=self.pid,
            start_time=self._identity.start_time,
            output=self._output.reader,
            directory=str(self._directory),
            cgroup=str(self._cgroup.path) if self._cgroup else None,
        )

    async def wait(self) -> Exit:
        """Return how the process itself ended, once it has. Many may wait. Its children may live on: see `stop`."""
        return await asyncio.shield(self._ended)

    def weigh(self, cpu_weight: int) -> None:
        """Give it another share of busy CPUs."""
        if self._cgroup:
            self._cgroup.weigh(cpu_weight)

    def host_memory(self) -> tuple[int | None, int | None]:
        """Bytes of host memory that it has now and had at most, see Cgroup; None where nobody counts."""
        return self._cgroup.host_memory() if self._cgroup else (None, None)

    def remains(self) -> list[int]:
        """PIDs of it that still live: the process, its descendants, those that left its session."""
        if self._swept:
            return []
        if self._cgroup is None:
            return sorted(who.pid for who in pids.belonging(self._directory, self._identity))
        # It may have been started and not be in its cgroup yet.
        return sorted({*self._cgroup.members(), *([self.pid] if pids.lives(self._identity) else [])})

    def kill(self) -> None:
        """SIGKILL to all of it, now, without waiting for anything."""
        if self._swept:
            return
        if self._cgroup:
            self._cgroup.kill()
            pids.send(self._identity, signal.SIGKILL)
        else:
            for who in pids.belonging(self._directory, self._identity):
                pids.send(who, signal.SIGKILL)

    async def stop(self, grace: float) -> None:
        """End all of it; return when nothing is left.

        SIGTERM goes to the process alone (its children dying first makes vLLM's API server hang), again in the
        course of the `grace` seconds, then SIGKILL to everything. May be called again, with less grace, while an
        earlier call still waits.
        """
        if grace > 0 and not self._ended.done():
            await self._ask(grace)
        poll = POLL_FIRST
        while self.remains():
            self.kill()
            await asyncio.sleep(poll)
            poll = min(poll * 2, POLL_LAST)
        await self.wait()
        self._bury()

    async def _ask(self, grace: float) -> None:
        """Have the process end by itself, and then its children."""
        deadline = self._loop.time() + grace
        for begin, end in pairwise((*TERMS, 1.0)):
            pids.send(self._identity, signal.SIGTERM)
            pids.send(self._identity, signal.SIGCONT)  # a stopped process does not take a SIGTERM
            await asyncio.wait([self._ended], timeout=grace * (end - begin))
            if self._ended.done():
                break
        deadline = min(deadline, self._loop.time() + CHILDREN_GRACE)
        poll = POLL_FIRST
        while self._loop.time() < deadline and self.remains():
            await asyncio.sleep(poll)
            poll = min(poll * 2, POLL_LAST)

    def _on_end(self) -> None:
        self._loop.remove_reader(self._pidfd)
        self._output.drain()
        result = os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED | os.WNOWAIT)
        os.close(self._pidfd)
        assert result is not None  # noqa: S101 - for the type's sake: None is what WNOHANG may give
        if result.si_code == os.CLD_EXITED:
            self._ended.set_result(Exit(result.si_status))
        else:
            self._ended.set_result(Exit(None, result.si_status))

    def _bury(self) -> None:
        if not self._swept:
            self._swept = True
            os.waitid(os.P_PID, self.pid, os.WEXITED)
            self._output.close()
            if self._cgroup:
                self._cgroup.remove()


def _find(command: Command, directory: Path) -> str:
    """Return the program's path, looked up in the PATH that the program itself gets."""
    name = command.argv[0]
    if "/" in name:
        # Relative to where it will run, as execve has it.
        path = directory / name
        if not path.exists():
            raise LaunchError(f"cannot start {name}: there is no such file")
        if path.is_dir() or not os.access(path, os.X_OK):
            raise LaunchError(f"cannot start {name}: it is not an executable file")
        return name
    search = command.environment.get("PATH", os.defpath)
    found = shutil.which(name, path=search)
    if found is None:
        raise LaunchError(f"cannot start {name}: no such program in PATH ({search})")
    return found


def _reason(error: OSError | ValueError, program: str) -> str:
    if isinstance(error, ValueError):
        return f"its command line or environment has an {error}"
    if error.errno == errno.ENOENT and Path(program).exists():
        return "the interpreter named in its first line is missing"
    if error.errno == errno.ENOEXEC:
        return "it is not a program of this machine"
    return error.strerror or str(error)


def _make_cgroup(cgroups: Cgroups | None, directory: Path, weight: int) -> Cgroup | None:
    """A cgroup for the process; without one it is still found and ended, so a failure is no reason not to start."""
    if cgroups is None:
        return None
    try:
        return cgroups.create(directory.name, weight)
    except OSError as error:
        logger.warning("cannot make a cgroup in %s: %s", cgroups.base, error.strerror)
        return None


def _remove(cgroup: Cgroup | None) -> None:
    if cgroup:
        cgroup.remove()


def _spawn(program: str, command: Command, directory: Path, output: Output, cgroup: Cgroup | None) -> int:
    argv = [program, *command.argv[1:]]
    if cgroup:
        argv = ["/bin/sh", "-c", MOVE_IN, "sparkd", str(cgroup.entrance), *argv]
    try:
        popen = subprocess.Popen(
            argv,
            env=dict(command.environment),
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=output.writer,
            stderr=output.writer,
            start_new_session=True,
            umask=0o077,
        )
    finally:
        output.close_writer()
    with suppress(OSError):  # it has ended already
        Path(f"/proc/{popen.pid}/oom_score_adj").write_text(str(OOM_SCORE))
    popen.returncode = 0  # it is ours to wait for from here on, and Popen must not believe that nobody does
    return popen.pid


def _abandon(pid: int) -> None:
    """End a process that was started and cannot be watched: no file descriptor is left for that."""
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)

"""One launcher process, seen from sparkd: its start, the engines forked from it, its end, and its handover."""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from sparkd.engines.engine import Command
from sparkd.errors import LaunchError
from sparkd.launcher.environment import find_difference
from sparkd.launcher.messages import ForkReply, ForkRequest, ImportRequest, Report
from sparkd.processes.cgroups import Cgroup, Cgroups
from sparkd.processes.log import Log
from sparkd.processes.process import Process, ProcessSnapshot

PROGRAM: Final = Path(__file__).with_name("program.py")
IMPORTS: Final = Path(__file__).with_name("imports.py")

MAX_MESSAGE: Final = 1 << 18
"""Bytes of a message, as in program.py."""

MAX_REQUEST: Final = 1 << 17
"""Bytes of a request. Linux accepts messages of 208 KiB on a Unix socket by default."""

FORK_TIMEOUT: Final = 10.0
"""Seconds to wait for a fork, which takes some tens of milliseconds. A launcher that takes longer hangs."""

STOP_GRACE: Final = 0.5
"""Seconds for a launcher to exit by itself once its socket is closed."""


@cache
def program_digest() -> str:
    """Return a digest of the program, so that a new sparkd does not use a launcher that runs an old one."""
    return hashlib.sha256(PROGRAM.read_bytes() + IMPORTS.read_bytes()).hexdigest()[:16]


class LauncherSpec(Struct, frozen=True, kw_only=True):
    """What a launcher is made of. If any of it changes, another launcher is needed.

    `build` identifies the build of the runtime, `python` is its interpreter. `environment` is complete.
    """

    runtime: str
    build: str
    python: str
    modules: tuple[str, ...]
    environment: Mapping[str, str]
    program: str


class LauncherSnapshot(Struct, frozen=True, kw_only=True):
    """A launcher as passed to the program that replaces this one. `channel` is the descriptor of its socket.
    `report` is None while it imports. No other launcher since the start of the service had its `number`."""

    spec: LauncherSpec
    process: ProcessSnapshot
    channel: int
    report: Report | None
    log: str | None
    number: int = 0


class Launcher:
    """A running launcher. Belongs to the event loop it was started on. Always call `stop`.

    `was_ended` is whether sparkd has ended it on purpose. `fork_timeout` is the seconds that a fork may take.
    """

    def __init__(
        self, spec: LauncherSpec, process: Process, channel: socket.socket, log: Log, report: Report | None
    ) -> None:
        self.spec = spec
        self.process = process
        self.log = log
        self._channel = channel
        self._loop = asyncio.get_running_loop()
        self._replies: deque[asyncio.Future[bytes]] = deque()
        self._ready: asyncio.Future[Report] = self._loop.create_future()
        self._open = True
        self._forks = 0
        self.was_ended = False
        self.fork_timeout = FORK_TIMEOUT
        channel.setblocking(False)
        self._loop.add_reader(channel, self._on_readable)
        if report is not None:
            self._ready.set_result(report)

    @classmethod
    async def start(cls, spec: LauncherSpec, directory: Path, log: Log, cgroups: Cgroups | None) -> Launcher:
        """Start the program in its private `directory` and have it import its modules. Raises LaunchError."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            argv = (spec.python, "-P", str(PROGRAM), str(theirs.fileno()))
            process = await Process.start(
                Command(argv, spec.environment), directory, log, cgroups=cgroups, pass_fds=(theirs.fileno(),)
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        launcher = cls(spec, process, ours, log, None)
        with suppress(OSError):  # it has exited already, which `wait_until_ready` reports
            ours.send(msgspec.json.encode(ImportRequest(spec.modules)))
        return launcher

    @classmethod
    def adopt(cls, snapshot: LauncherSnapshot, log: Log) -> Launcher:
        """Take over a launcher that the program before this one started under the same PID. Raises LaunchError."""
        process = Process.adopt(snapshot.process, log)
        os.set_inheritable(snapshot.channel, False)
        return cls(snapshot.spec, process, socket.socket(fileno=snapshot.channel), log, snapshot.report)

    def snapshot(self) -> LauncherSnapshot | None:
        """Return what the next program needs to take it over. None if it has exited, or is forking."""
        process = self.process.snapshot()
        if process is None or not self._open or self.is_forking:
            return None
        return LauncherSnapshot(
            spec=self.spec,
            process=process,
            channel=self._channel.fileno(),
            report=self.report,
            log=str(self.log.path) if self.log.path else None,
        )

    @property
    def report(self) -> Report | None:
        """What its imports came to. None while it imports, or if it ended before."""
        return self._ready.result() if self._ready.done() and not self._ready.exception() else None

    @property
    def is_forking(self) -> bool:
        """Whether an engine is being forked now, which has no Process yet."""
        return self._forks > 0

    async def wait_until_ready(self) -> Report:
        """Wait until its imports are done. Raises LaunchError if it ends before."""
        return await asyncio.shield(self._ready)

    def find_obstacle(self, command: Command) -> str | None:
        """Return why this engine cannot be forked from it, None if it can."""
        report = self.report
        if report is None:
            return "the launcher is not ready"
        if report.problem:
            return report.problem
        if len(msgspec.json.encode((command.argv, command.environment))) > MAX_REQUEST:
            return "its command line and environment are too long for a request to the launcher"
        name = find_difference(self.spec.environment, command.environment, report.variables)
        return name and f"the model sets {name}, which is read when the engine's modules are imported"

    async def fork(
        self, command: Command, directory: Path, output: int, cgroup: Cgroup | None, gate: int | None = None
    ) -> int:
        """Fork an engine; return its PID. It is a child of this process. Raises LaunchError.

        `output` is its stdout and stderr. With `gate`, it does not start its own processes before a byte arrives there.
        """
        request = ForkRequest(
            argv=command.argv,
            environment=command.environment,
            directory=str(directory),
            cgroup=str(cgroup.procs_file) if cgroup else None,
        )
        descriptors = [output] if gate is None else [output, gate]
        reply: asyncio.Future[bytes] = self._loop.create_future()
        self._forks += 1
        try:
            if not self._open:
                raise LaunchError("the launcher has ended")
            socket.send_fds(self._channel, [msgspec.json.encode(request)], descriptors)
            self._replies.append(reply)
            async with asyncio.timeout(self.fork_timeout):
                answer = msgspec.json.decode(await reply, type=ForkReply)
        except TimeoutError:
            self.process.kill()  # otherwise it may fork when nobody expects the engine any more
            raise LaunchError(f"the launcher did not answer within {self.fork_timeout:.0f} seconds") from None
        except (BrokenPipeError, ConnectionResetError):  # it was killed, and its end has not been noticed yet
            raise LaunchError("the launcher has ended") from None
        except (OSError, msgspec.MsgspecError) as error:
            raise LaunchError(f"the launcher does not answer: {error}") from error
        finally:
            self._forks -= 1
        if answer.error:
            raise LaunchError(f"the launcher {answer.error}")
        return answer.pid

    async def stop(self) -> None:
        """End it; return when nothing of it is left. Engines that were forked from it live on."""
        self.was_ended = True
        self._close("the launcher was stopped")
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_GRACE):
                await self.process.wait()
        await self.process.stop(0)
        self.log.close()

    def kill(self) -> None:
        """Kill it now, without waiting."""
        self.was_ended = True
        self._close("the launcher was ended")
        self.process.kill()

    def _on_readable(self) -> None:
        try:
            data = self._channel.recv(MAX_MESSAGE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._close("the launcher has exited")
        elif not self._ready.done():
            self._read_report(data)
        elif self._replies and not (reply := self._replies.popleft()).done():
            reply.set_result(data)

    def _read_report(self, data: bytes) -> None:
        try:
            self._ready.set_result(msgspec.json.decode(data, type=Report))
        except msgspec.MsgspecError as error:
            self._close(f"the launcher's report cannot be read: {error}")

    def _close(self, reason: str) -> None:
        if not self._open:
            return
        self._open = False
        self._loop.remove_reader(self._channel)
        self._channel.close()
        pending: list[asyncio.Future[Any]] = [self._ready, *self._replies]
        for future in pending:
            if not future.done():
                future.set_exception(LaunchError(reason))
                future.exception()  # retrieved: nobody may be waiting
        self._replies.clear()

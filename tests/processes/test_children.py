"""Children that another process has started, and starts that fail."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sparkd.engines.engine import Exit
from sparkd.errors import LaunchError
from sparkd.processes import children, pids
from sparkd.processes.cgroups import Cgroup
from sparkd.processes.log import Log
from sparkd.processes.process import Process
from tests.launcher.runtime import set_subreaper
from tests.processes.children import ENVIRONMENT, is_running, python, wait_until

ORPHAN = """
import os, sys, time
if os.fork() == 0:
    if {session}: os.setsid()
    pid = os.fork()
    if pid: print(pid, flush=True); os._exit(0)
    os.close(1)
    os.close(2)
    time.sleep(600)
"""
"""Prints the PID of a process whose parent exits."""


@pytest.fixture(autouse=True)
def _subreaper() -> Iterator[None]:
    children.become_subreaper()
    yield
    set_subreaper(active=False)


def make_orphan(*, session: bool) -> int:
    """Return the PID of a process that this one has adopted."""
    command = (sys.executable, "-S", "-c", ORPHAN.format(session=session))
    return int(subprocess.run(command, env=ENVIRONMENT, capture_output=True, check=True, text=True).stdout)


def count_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def end(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    asyncio.run(wait_until(lambda: not is_running(pid)))


def test_an_orphan_becomes_a_child_and_is_reaped_when_it_has_exited() -> None:
    orphan = make_orphan(session=True)
    asyncio.run(wait_until(lambda: pids.read_processes()[orphan].parent == os.getpid()))
    assert orphan not in children.reap_adopted()
    end(orphan)
    assert orphan in children.reap_adopted()
    assert not Path(f"/proc/{orphan}").exists()


def test_a_child_in_our_own_session_is_left_to_whoever_started_it() -> None:
    """asyncio and subprocess wait for their children themselves."""
    with subprocess.Popen(("sleep", "600"), env=ENVIRONMENT) as own:
        own.kill()
        asyncio.run(wait_until(lambda: not is_running(own.pid)))
        children.reap_adopted()
        assert own.wait() == -signal.SIGKILL


def test_an_adopted_process_is_watched_like_one_that_was_started(tmp_path: Path) -> None:
    async def scenario() -> None:
        orphan = make_orphan(session=True)
        await wait_until(lambda: pids.read_processes()[orphan].parent == os.getpid())

        async def spawn(*_: object) -> int:
            return orphan

        process = await Process.start_with(spawn, tmp_path, Log(None))
        os.kill(orphan, signal.SIGTERM)
        assert await process.wait() == Exit(None, signal.SIGTERM)
        assert orphan not in children.reap_adopted(), "its exit status belongs to the process"
        await process.stop(0)
        assert orphan not in children.watched

    asyncio.run(scenario())


def test_a_process_that_exits_before_it_is_watched_is_known_to_have_exited(tmp_path: Path) -> None:
    async def scenario() -> None:
        async def spawn(*_: object) -> int:
            pid = os.posix_spawn("/bin/false", ["false"], {}, setsid=True)  # noqa: ASYNC221 - it does not wait
            await wait_until(lambda: not is_running(pid))
            return pid

        process = await Process.start_with(spawn, tmp_path, Log(None))
        assert await process.wait() == Exit(1)
        await process.stop(0)

    asyncio.run(scenario())


@pytest.mark.parametrize("error", [LaunchError("no"), OSError(11, "no"), asyncio.CancelledError()])
def test_a_start_that_fails_leaves_nothing(tmp_path: Path, error: BaseException) -> None:
    async def scenario() -> None:
        async def spawn(_: int, __: Cgroup | None) -> int:
            raise error

        before = count_descriptors()
        expected = asyncio.CancelledError if isinstance(error, asyncio.CancelledError) else LaunchError
        with pytest.raises(expected):
            await Process.start_with(spawn, tmp_path, Log(None))
        assert count_descriptors() == before

    asyncio.run(scenario())


def test_a_process_inherits_a_descriptor_that_is_passed(tmp_path: Path) -> None:
    async def scenario() -> None:
        reader, writer = os.pipe()
        log = Log(None)
        command = python(f"import os; print(os.path.exists('/proc/self/fd/{writer}'))")
        process = await Process.start(command, tmp_path, log, pass_fds=(writer,))
        await process.wait()
        await process.stop(0)
        assert log.tail(1) == ["True"]
        assert not os.get_inheritable(writer)
        os.close(reader)
        os.close(writer)

    asyncio.run(scenario())

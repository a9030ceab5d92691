"""Processes that an engine cannot work without: found by their names, watched, and how they ended."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import uvloop

from sparkd.engines import ENGINES
from sparkd.engines.engine import Exit
from sparkd.processes import pids
from sparkd.processes.log import Log
from sparkd.processes.process import Process
from sparkd.processes.vital import Death, VitalProcesses
from tests.processes.children import python, wait_until

NAME = "VLLM::EngineCor"

PARENT = """
import os, signal, sys, time
def run(name, then):
    child = os.fork()
    if child == 0:
        open("/proc/self/comm", "w").write(name)
        print("child", os.getpid(), flush=True)
        then()
        os._exit(0)
    return child
def wait_for_go():
    while not os.path.exists("go"):
        time.sleep(0.005)
"""

Runner = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(params=[asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Runner:
    runner: Runner = request.param
    return runner


def count_descriptors() -> int:
    """Return the number of files that this process has open."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


class Watched:
    """A running engine of which the vital processes are watched."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.deaths: list[Death] = []
        self.vital = VitalProcesses(ENGINES["vllm"].name_vital_process, self.deaths.append)
        self._log = Log(None)

    async def start(self, program: str, children: int = 1) -> list[int]:
        """Start the program; return the PIDs of its named children once their number is complete."""
        self.process = await Process.start(python(PARENT + program), self.directory, self._log)
        await wait_until(lambda: len(self._log.tail(10)) == children)
        return [int(line.split()[1]) for line in self._log.tail(10)]

    async def find(self) -> None:
        """Find vital processes from a thread, as the memory watch does."""
        await asyncio.to_thread(self.vital.find, self.process.remaining_pids())
        await asyncio.sleep(0)

    async def stop(self) -> None:
        self.vital.close()
        await self.process.stop(0)


def test_the_end_of_a_vital_process_is_reported_with_its_signal(tmp_path: Path, run: Runner) -> None:
    async def scenario() -> None:
        watched = Watched(tmp_path)
        [child] = await watched.start(f"run({NAME!r}, signal.pause); signal.pause()")
        await watched.find()
        await watched.find()  # it is watched only once
        os.kill(child, signal.SIGKILL)
        await wait_until(lambda: watched.deaths)
        await watched.find()  # a zombie is not watched
        await watched.stop()
        assert watched.deaths == [Death(child, "vLLM's engine core", Exit(None, signal.SIGKILL))]

    run(scenario())


def test_its_exit_code_is_reported(tmp_path: Path, run: Runner) -> None:
    async def scenario() -> None:
        watched = Watched(tmp_path)
        await watched.start(f"run({NAME!r}, lambda: (wait_for_go(), os._exit(3))); signal.pause()")
        await watched.find()
        (tmp_path / "go").touch()
        await wait_until(lambda: watched.deaths)
        await watched.stop()
        assert [death.exit for death in watched.deaths] == [Exit(3)]

    run(scenario())


def test_it_is_reported_even_if_its_parent_reaps_it_at_once(tmp_path: Path, run: Runner) -> None:
    """Then only Linux 6.15 and newer report how it ended."""

    async def scenario() -> None:
        watched = Watched(tmp_path)
        [child] = await watched.start(f"os.waitpid(run({NAME!r}, signal.pause), 0); signal.pause()")
        await watched.find()
        os.kill(child, signal.SIGKILL)
        while pids.read_stat(child):  # without awaiting: sparkd is busy meanwhile
            pass
        await wait_until(lambda: watched.deaths)
        await watched.stop()
        assert [death.exit for death in watched.deaths] in ([Exit(None, signal.SIGKILL)], [Exit(None)])

    run(scenario())


def test_other_processes_and_forks_of_a_vital_one_may_end(tmp_path: Path, run: Runner) -> None:
    """A fork has the name of its parent until it starts a program of its own, or for ever."""
    fork = f"lambda: (run({NAME!r}, wait_for_go), signal.pause())"

    async def scenario() -> None:
        watched = Watched(tmp_path)
        children = await watched.start(f"run({NAME!r}, {fork}); run('ninja', wait_for_go); signal.pause()", 3)
        await watched.find()
        (tmp_path / "go").touch()
        await wait_until(lambda: sum(1 for pid in children if (s := pids.read_stat(pid)) and s.ended) == 2)
        await asyncio.sleep(0)
        assert not watched.deaths
        await watched.stop()

    run(scenario())


def test_nothing_is_reported_and_no_descriptor_left_after_the_end(tmp_path: Path, run: Runner) -> None:
    async def scenario() -> None:
        before = count_descriptors()
        watched = Watched(tmp_path)
        [child] = await watched.start(f"run({NAME!r}, signal.pause); signal.pause()")
        await watched.find()
        watched.vital.close()
        os.kill(child, signal.SIGKILL)
        await watched.find()
        await watched.stop()
        assert not watched.deaths
        assert count_descriptors() == before

    run(scenario())


def test_a_process_that_ends_while_it_is_found_is_no_error(tmp_path: Path, run: Runner) -> None:
    async def scenario() -> None:
        watched = Watched(tmp_path)
        [child] = await watched.start(f"os.waitpid(run({NAME!r}, signal.pause), 0); signal.pause()")
        watched.vital.find([child, 2**22 + 1])
        os.kill(child, signal.SIGKILL)
        while pids.read_stat(child):  # without awaiting: its pidfd is opened too late
            pass
        await asyncio.sleep(0)
        await watched.stop()
        assert not watched.deaths

    run(scenario())

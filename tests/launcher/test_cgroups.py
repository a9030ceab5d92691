"""A forked engine is in its own cgroup before it runs anything, in the machine's real cgroup tree."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator

import pytest

from sparkd.engines.engine import Exit
from sparkd.launcher.launcher import Launcher
from sparkd.processes.cgroups import Cgroup, Cgroups
from sparkd.processes.log import Log
from sparkd.processes.process import Process
from tests.launcher.runtime import Place, finish
from tests.processes.children import is_running, wait_until
from tests.processes.test_cgroups import TREE

if TREE is not None:

    @pytest.fixture
    def cgroups() -> Iterator[Cgroups]:
        assert TREE is not None
        base = TREE / f"sparkd-launcher-test-{os.getpid()}"
        base.mkdir()
        yield Cgroups(base)
        base.rmdir()  # fails if a cgroup is left

    async def start_engine(
        place: Place, launcher: Launcher, cgroups: Cgroups, log: Log, *arguments: str
    ) -> Process:
        folder = place.new_folder()

        async def fork(output: int, cgroup: Cgroup | None) -> int:
            return await launcher.fork(place.command(*arguments), folder, output, cgroup)

        return await Process.start_with(fork, folder, log, cgroups=cgroups)

    def test_launcher_and_engines_have_cgroups_of_their_own(place: Place, cgroups: Cgroups) -> None:
        async def scenario() -> None:
            log = Log(None)
            spec = place.runtime.spec("json", environment=place.environment)
            launcher = await Launcher.start(spec, place.new_folder(), Log(None), cgroups)
            await launcher.wait_until_ready()
            assert launcher.process.remaining_pids() == [launcher.process.pid]
            engines = [
                await start_engine(place, launcher, cgroups, log, "start-child-and-wait") for _ in "ab"
            ]
            await wait_until(lambda: len(log.tail(9)) == 2)
            for engine in engines:
                assert len(engine.remaining_pids()) == 2, "the engine and its child"
                assert engine.pid in engine.remaining_pids()
            await launcher.stop()
            assert all(is_running(engine.pid) for engine in engines)
            for engine in engines:
                members = engine.remaining_pids()
                await engine.stop(0)
                assert not any(map(is_running, members))

        asyncio.run(scenario())

    def test_a_fork_that_fails_leaves_no_cgroup(place: Place, cgroups: Cgroups) -> None:
        async def scenario() -> None:
            spec = place.runtime.spec("json", environment=place.environment)
            launcher = await Launcher.start(spec, place.new_folder(), Log(None), cgroups)
            await launcher.wait_until_ready()
            assert await finish(await start_engine(place, launcher, cgroups, Log(None), "draw")) == Exit(0)
            launcher.kill()
            with pytest.raises(Exception, match="the launcher has ended"):
                await start_engine(place, launcher, cgroups, Log(None), "draw")
            await launcher.stop()

        asyncio.run(scenario())

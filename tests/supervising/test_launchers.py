"""The launchers of all runtimes: when they start, what a start gets from them, and when they end."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from msgspec.structs import replace

from sparkd.catalog.quantities import GIB
from sparkd.catalog.reading import read_catalogue
from sparkd.launcher.launcher import Launcher, LauncherSpec
from sparkd.learning.history import History
from sparkd.learning.learning import Learning
from sparkd.processes.run_directories import RunDirectories
from sparkd.scheduling.memory import Budget
from sparkd.supervising.launcher_life import TIMES, LauncherTimes
from sparkd.supervising.launchers import Launchers
from sparkd.supervising.tasks import Tasks
from tests.launcher.runtime import Runtime, make_environment
from tests.processes.children import is_running, wait_until


class Supplied:
    """Launchers with all that they need, in one folder. `used` is what they last reported to use."""

    def __init__(self, folder: Path, runtime: Runtime, times: LauncherTimes) -> None:
        self.folder = folder
        self.runtime = runtime
        self.modules = folder / "modules"
        self.modules.mkdir(exist_ok=True)
        self.has_room = True
        self.used: list[int] = []
        catalogue = folder / "models.toml"
        catalogue.write_text("")
        history = History.open(folder / "history.sqlite", "boot")
        self.learning = Learning(read_catalogue(catalogue), history, 8 * GIB, Budget(8 * GIB, 0))
        self.tasks = Tasks()
        self.launchers = Launchers(
            run_directories=RunDirectories(folder / "run", folder / "logs"),
            cgroups=None,
            learning=self.learning,
            tasks=self.tasks,
            has_room=lambda: self.has_room,
            on_memory=self.used.append,
            times=times,
        )

    def spec(self, *modules: str, build: str = "standin@1", **variables: str) -> LauncherSpec:
        variables = {"TMPDIR": str(self.folder / "tmp"), **variables}
        return self.runtime.spec(
            *modules, environment=make_environment(self.modules, **variables), build=build
        )

    async def close(self) -> None:
        self.launchers.close()
        await self.tasks.wait()
        self.learning.close()
        assert not self.tasks.failure.done()
        engines = self.folder / "run" / "engines"
        assert not (list(engines.iterdir()) if engines.exists() else [])

    @property
    def states(self) -> list[str]:
        return [status.state for status in self.launchers.status()]


@asynccontextmanager
async def open_launchers(
    folder: Path, runtime: Runtime, times: LauncherTimes = TIMES
) -> AsyncIterator[Supplied]:
    own = Supplied(folder, runtime, times)
    try:
        yield own
    finally:
        await own.close()


async def obtain(own: Supplied, spec: LauncherSpec, key: str = "model") -> Launcher:
    launcher = await own.launchers.obtain(spec, key)
    assert isinstance(launcher, Launcher), launcher
    return launcher


def test_all_starts_share_one_launcher(tmp_path: Path, runtime: Runtime) -> None:
    async def scenario() -> None:
        async with open_launchers(tmp_path, runtime) as own:
            spec = own.spec("json")
            own.launchers.want(spec)
            assert own.states == ["starting"]
            assert not own.launchers.is_ready("standin")
            found = await asyncio.gather(*(obtain(own, spec) for _ in range(5)))
            assert len(set(found)) == 1
            assert own.launchers.is_ready("standin")
            assert own.states == ["ready"]
            own.launchers.record_fork(found[0])
            (status,) = own.launchers.status()
            assert (status.pid, status.starts) == (found[0].process.pid, 1)
            assert status.memory

    asyncio.run(scenario())


def test_another_build_environment_or_program_gets_a_launcher_of_its_own(
    tmp_path: Path, runtime: Runtime
) -> None:
    async def scenario() -> None:
        async with open_launchers(tmp_path, runtime) as own:
            first = await obtain(own, own.spec())
            second = await obtain(own, own.spec(build="standin@2"))
            third = await obtain(own, own.spec(build="standin@2", OMP_NUM_THREADS="2"))
            assert len({first, second, third}) == 3
            assert await obtain(own, own.spec(build="standin@2", OMP_NUM_THREADS="2")) is third
            await wait_until(lambda: not is_running(first.process.pid) and not is_running(second.process.pid))
            assert is_running(third.process.pid)
            newer = replace(third.spec, program="that of a later sparkd")
            assert await obtain(own, newer) is not third
            await wait_until(lambda: not is_running(third.process.pid))

    asyncio.run(scenario())


def test_launchers_that_are_ended_on_purpose_are_no_failures(tmp_path: Path, runtime: Runtime) -> None:
    async def scenario() -> None:
        async with open_launchers(tmp_path, runtime) as own:
            (own.modules / "slow.py").write_text("import time\ntime.sleep(600)")
            spec = own.spec("slow")
            for _ in range(3):
                waiting = asyncio.create_task(own.launchers.obtain(spec, "model"))
                await wait_until(lambda: any(status.pid for status in own.launchers.status()))
                own.launchers.end_all("a model needs their memory")
                assert await waiting == "the launcher is not ready: a model needs their memory"
            assert own.learning.warm_failures() == []
            assert own.states == []

    asyncio.run(scenario())


def test_without_memory_there_is_no_launcher_and_after_the_end_none_starts(
    tmp_path: Path, runtime: Runtime
) -> None:
    async def scenario() -> None:
        async with open_launchers(tmp_path, runtime) as own:
            own.has_room = False
            own.launchers.want(own.spec())
            assert await own.launchers.obtain(own.spec(), "model") == "there is no memory for a launcher"
            own.has_room = True
            own.launchers.close()
            own.launchers.want(own.spec())
            assert own.states == []

    asyncio.run(scenario())


def test_imports_that_take_too_long_end_the_launcher_even_if_no_start_waits(
    tmp_path: Path, runtime: Runtime
) -> None:
    async def scenario() -> None:
        async with open_launchers(tmp_path, runtime, LauncherTimes(ready=0.3)) as own:
            (own.modules / "slow.py").write_text("import time\ntime.sleep(600)")
            spec = own.spec("slow")
            own.launchers.want(spec)
            await wait_until(lambda: own.states == [])
            reason = await own.launchers.obtain(spec, "model")
            assert reason == "the launcher is not ready: its imports took more than 0 seconds"
            assert await own.launchers.obtain(spec, "model") == (
                "warm starts of this runtime failed: its imports took more than 0 seconds"
            )
            assert own.states == ["off"]

    asyncio.run(scenario())


def test_a_program_that_is_missing_is_a_reason_to_start_cold(tmp_path: Path, runtime: Runtime) -> None:
    async def scenario() -> None:
        async with open_launchers(tmp_path, runtime) as own:
            spec = LauncherSpec(
                runtime="standin",
                build="standin@1",
                python="/absent/python",
                modules=(),
                environment=own.spec().environment,
                program="1",
            )
            reason = await own.launchers.obtain(spec, "model")
            assert isinstance(reason, str)
            assert "the file does not exist" in reason

    asyncio.run(scenario())


def test_failures_are_remembered_by_the_next_sparkd_until_they_are_forgotten(
    tmp_path: Path, runtime: Runtime
) -> None:
    async def fail() -> None:
        async with open_launchers(tmp_path, runtime) as own:
            launcher = await obtain(own, own.spec())
            own.launchers.record_failure(own.spec(), "small", "it crashed")
            assert await own.launchers.obtain(own.spec(), "small") == "its warm start failed: it crashed"
            assert await obtain(own, own.spec(), "large") is launcher
            own.launchers.record_failure(own.spec(), "large", "it hung")
            assert own.states == ["off"]
            await wait_until(lambda: not is_running(launcher.process.pid))

    async def start_again() -> None:
        async with open_launchers(tmp_path, runtime) as own:
            assert await own.launchers.obtain(own.spec(), "third") == (
                "warm starts of this runtime failed: it hung"
            )
            assert isinstance(await own.launchers.obtain(own.spec(build="standin@2"), "small"), Launcher)
            own.launchers.forget_failures(own.spec())
            await obtain(own, own.spec(), "small")

    async def start_once_more() -> None:
        async with open_launchers(tmp_path, runtime) as own:
            await obtain(own, own.spec(), "small")

    for scenario in (fail, start_again, start_once_more):
        asyncio.run(scenario())


def test_a_success_shows_that_the_build_works(tmp_path: Path, runtime: Runtime) -> None:
    async def scenario() -> None:
        async with open_launchers(tmp_path, runtime) as own:
            for model in ("one", "two", "three"):
                own.launchers.record_failure(own.spec(), model, "it crashed")
                own.launchers.record_success(own.spec())
            await obtain(own, own.spec(), "four")
            assert await own.launchers.obtain(own.spec(), "one") == "its warm start failed: it crashed"

    asyncio.run(scenario())


def test_launchers_that_nobody_needs_end_and_memory_is_reported(tmp_path: Path, runtime: Runtime) -> None:
    async def scenario() -> None:
        async with open_launchers(tmp_path, runtime, LauncherTimes(check=0.02, unused=0.1)) as own:
            launcher = await obtain(own, own.spec())
            in_use = {"standin"}
            watching = asyncio.create_task(own.launchers.watch(lambda: in_use))
            await wait_until(lambda: own.used and own.used[-1] > 0)
            own.used.clear()
            await wait_until(lambda: len(own.used) > 10)
            assert is_running(launcher.process.pid), "its runtime is in use"
            in_use.clear()
            await wait_until(lambda: not is_running(launcher.process.pid))
            await wait_until(lambda: own.used[-1] == 0)
            watching.cancel()

    asyncio.run(scenario())


def test_a_launcher_that_exits_by_itself_is_replaced_at_the_next_start(
    tmp_path: Path, runtime: Runtime
) -> None:
    async def scenario() -> None:
        async with open_launchers(tmp_path, runtime) as own:
            first = await obtain(own, own.spec())
            os.kill(first.process.pid, signal.SIGKILL)
            await wait_until(lambda: own.states == [])
            assert await obtain(own, own.spec()) is not first
            assert own.learning.warm_failures() == []

    asyncio.run(scenario())


def test_launchers_can_be_handed_over_once_they_run(tmp_path: Path, runtime: Runtime) -> None:
    async def scenario() -> None:
        async with open_launchers(tmp_path, runtime) as own:
            own.launchers.want(own.spec())
            launcher = await obtain(own, own.spec())
            (snapshot,) = own.launchers.snapshot()
            assert snapshot.process.pid == launcher.process.pid
            assert snapshot.number == 1
            own.launchers.end_all("it is enough")
            assert not own.launchers.is_transferable, "it ends"

    asyncio.run(scenario())

"""One launcher process, seen from sparkd: what it forks, and what happens when it fails."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from sparkd.engines.engine import Command, Exit
from sparkd.errors import LaunchError
from sparkd.launcher.launcher import MAX_REQUEST, Launcher
from sparkd.processes import children, pids
from sparkd.processes.cgroups import Cgroup
from sparkd.processes.log import Log
from tests.launcher.runtime import Place, finish
from tests.processes.children import is_running, wait_until


async def read_line(log: Log) -> str:
    await wait_until(lambda: log.tail(1))
    return log.tail(1)[0]


def exists(pid: int) -> bool:
    """Return whether there is such a process, or a zombie of it."""
    return Path(f"/proc/{pid}").exists()


def count_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_ten_engines_forked_at_once_have_their_own_output_and_folder(place: Place) -> None:
    async def scenario() -> None:
        logs = [Log(None) for _ in range(10)]
        launcher_log = Log(None)
        async with place.launcher(log=launcher_log) as launcher:
            await launcher.wait_until_ready()
            commands = [place.command("show", "NUMBER", NUMBER=str(number)) for number in range(10)]
            pairs = zip(commands, logs, strict=True)
            started = await asyncio.gather(
                *(place.start_warm(launcher, command, log) for command, log in pairs)
            )
            assert len({process.pid for process in started}) == 10
            assert not launcher.is_forking
            assert await asyncio.gather(*map(finish, started)) == [Exit(0)] * 10
        assert [log.tail(9) for log in logs] == [[f"NUMBER {n} {n} {n}"] for n in range(10)]
        assert launcher_log.tail(9) == []

    asyncio.run(scenario())


def test_engines_live_on_when_their_launcher_ends_and_their_exit_is_known(place: Place) -> None:
    async def scenario() -> None:
        logs = [Log(None), Log(None)]
        async with place.launcher() as launcher:
            await launcher.wait_until_ready()
            engines = [await place.start_warm(launcher, place.command("wait"), log) for log in logs]
            await asyncio.gather(*map(read_line, logs))
            os.kill(launcher.process.pid, signal.SIGKILL)
            await wait_until(lambda: launcher.snapshot() is None)
            with pytest.raises(LaunchError, match="the launcher has ended"):
                await place.start_warm(launcher, place.command("wait"), Log(None))
        assert all(is_running(engine.pid) for engine in engines)
        stat = pids.read_stat(engines[0].pid)
        assert stat is not None
        assert stat.parent == os.getpid()
        os.kill(engines[0].pid, signal.SIGTERM)
        assert await finish(engines[0]) == Exit(None, signal.SIGTERM)
        await engines[1].stop(0)
        assert await engines[1].wait() == Exit(None, signal.SIGKILL)

    asyncio.run(scenario())


def test_a_launcher_leaves_no_process_and_no_descriptor(place: Place) -> None:
    async def scenario() -> None:
        before = count_descriptors()
        for _ in range(3):
            log = Log(None)
            async with place.launcher("json") as launcher:
                await launcher.wait_until_ready()
                await finish(await place.start_warm(launcher, place.command("leave", "zero"), log))
                pid = launcher.process.pid
            assert not exists(pid)
        assert count_descriptors() == before

    asyncio.run(scenario())


def test_a_launcher_that_is_killed_while_it_imports_is_reported(place: Place) -> None:
    place.write("slow", "import time\nprint('importing', flush=True)\ntime.sleep(600)")

    async def scenario() -> None:
        log = Log(None)
        async with place.launcher("slow", log=log) as launcher:
            assert launcher.find_obstacle(place.command("wait")) == "the launcher is not ready"
            await read_line(log)
            os.kill(launcher.process.pid, signal.SIGKILL)
            with pytest.raises(LaunchError, match="the launcher has exited"):
                await launcher.wait_until_ready()
            assert not launcher.was_ended

    asyncio.run(scenario())


def test_a_launcher_that_does_not_answer_is_killed_so_that_it_cannot_fork_later(place: Place) -> None:
    async def scenario() -> None:
        folder = place.new_folder()
        async with place.launcher() as launcher:
            await launcher.wait_until_ready()
            launcher.fork_timeout = 0.2
            os.kill(launcher.process.pid, signal.SIGSTOP)
            with pytest.raises(LaunchError, match=r"did not answer within 0 seconds"):
                await place.start_warm(launcher, place.command("wait"), Log(None), folder)
            assert await launcher.process.wait() == Exit(None, signal.SIGKILL)
            await wait_until(lambda: launcher.snapshot() is None)
        assert not pids.find_family(folder, None)

    asyncio.run(scenario())


def test_a_launcher_that_is_killed_while_others_wait_for_their_forks_fails_each(place: Place) -> None:
    async def scenario() -> None:
        async with place.launcher() as launcher:
            await launcher.wait_until_ready()
            os.kill(launcher.process.pid, signal.SIGSTOP)
            starts = [
                asyncio.create_task(place.start_warm(launcher, place.command("wait"), Log(None)))
                for _ in range(5)
            ]
            await wait_until(lambda: launcher.is_forking)
            assert launcher.snapshot() is None
            os.kill(launcher.process.pid, signal.SIGKILL)
            results = await asyncio.gather(*starts, return_exceptions=True)
            assert all(isinstance(result, LaunchError) for result in results)
            assert not launcher.is_forking

    asyncio.run(scenario())


def test_more_requests_than_fit_into_the_socket_fail_and_hang_nobody(place: Place) -> None:
    async def scenario() -> None:
        async with place.launcher() as launcher:
            await launcher.wait_until_ready()
            launcher.fork_timeout = 1.0
            os.kill(launcher.process.pid, signal.SIGSTOP)
            command = place.command("wait", MODEL="x" * 60_000)
            starts = [place.start_warm(launcher, command, Log(None)) for _ in range(20)]
            results = await asyncio.gather(*starts, return_exceptions=True)
            assert all(isinstance(result, LaunchError) for result in results)

    asyncio.run(scenario())


def test_an_engine_whose_environment_is_too_long_for_a_message_starts_cold(place: Place) -> None:
    async def scenario() -> None:
        async with place.launcher() as launcher:
            await launcher.wait_until_ready()
            long = place.command("show", "MODEL", MODEL="x" * (MAX_REQUEST - 5000))
            too_long = place.command("show", "MODEL", MODEL="x" * MAX_REQUEST)
            assert launcher.find_obstacle(long) is None
            assert launcher.find_obstacle(too_long) == (
                "its command line and environment are too long for a request to the launcher"
            )
            assert await finish(await place.start_warm(launcher, long, Log(None))) == Exit(0)

    asyncio.run(scenario())


def test_an_engine_with_another_value_of_what_the_imports_have_read_starts_cold(place: Place) -> None:
    place.write("reading", "import os\nos.getenv('SEEN')")

    async def scenario() -> None:
        async with place.launcher("reading", SEEN="1", UNSEEN="1") as launcher:
            await launcher.wait_until_ready()
            assert launcher.find_obstacle(place.command("wait", SEEN="1", UNSEEN="2", NEW="3")) is None
            why = "the model sets SEEN, which is read when the engine's modules are imported"
            assert launcher.find_obstacle(place.command("wait", SEEN="2", UNSEEN="1")) == why
            assert launcher.find_obstacle(place.command("wait", UNSEEN="1")) == why

    asyncio.run(scenario())


@pytest.mark.parametrize("argv", [("/absent/vllm", "serve"), ("standin", "no-such-function"), ("standin",)])
def test_a_command_that_cannot_run_fails_like_any_program(place: Place, argv: tuple[str, ...]) -> None:
    async def scenario() -> None:
        log = Log(None)
        async with place.launcher() as launcher:
            await launcher.wait_until_ready()
            command = Command(argv, place.environment)
            assert await finish(await place.start_warm(launcher, command, log)) == Exit(1)
            assert any("Error" in line for line in log.tail(20))
            assert await finish(await place.start_warm(launcher, place.command("draw"), Log(None))) == Exit(0)

    asyncio.run(scenario())


def test_a_folder_that_is_gone_fails_the_engine_and_not_the_launcher(place: Place) -> None:
    async def scenario() -> None:
        async with place.launcher() as launcher:
            await launcher.wait_until_ready()
            absent = place.folder / "absent"
            log = Log(None)
            process = await place.start_warm(launcher, place.command("draw"), log, absent)
            assert await finish(process) == Exit(1)
            assert log.tail(1)[0].startswith("FileNotFoundError")
            assert await finish(await place.start_warm(launcher, place.command("draw"), Log(None))) == Exit(0)

    asyncio.run(scenario())


def test_a_cgroup_that_cannot_be_entered_is_a_reason_to_start_cold(place: Place) -> None:
    async def scenario() -> None:
        async with place.launcher() as launcher:
            await launcher.wait_until_ready()
            with pytest.raises(LaunchError) as caught:
                await launcher.fork(
                    place.command("wait"), place.new_folder(), 1, Cgroup(place.folder / "none")
                )
            assert caught.value.message.startswith("the launcher cannot fork: No such file or directory")
            assert await finish(await place.start_warm(launcher, place.command("draw"), Log(None))) == Exit(0)

    asyncio.run(scenario())


# The gate


def test_an_engine_starts_its_first_process_when_its_gate_is_opened(place: Place) -> None:
    async def scenario() -> None:
        log = Log(None)
        async with place.launcher() as launcher:
            await launcher.wait_until_ready()
            reader, writer = os.pipe()
            engine = await place.start_warm(launcher, place.command("start-child"), log, gate=reader)
            os.close(reader)
            assert await read_line(log) == "before"
            os.write(writer, b"1")
            os.close(writer)
            assert await finish(engine) == Exit(0)
        assert log.tail(9) == ["before", "child", "after 0"]

    asyncio.run(scenario())


def test_an_engine_whose_gate_is_closed_exits(place: Place) -> None:
    async def scenario() -> None:
        log = Log(None)
        async with place.launcher() as launcher:
            await launcher.wait_until_ready()
            reader, writer = os.pipe()
            engine = await place.start_warm(launcher, place.command("start-child"), log, gate=reader)
            os.close(reader)
            assert await read_line(log) == "before"
            # Another engine does not hold the first one's gate open.
            other = await place.start_warm(launcher, place.command("wait"), Log(None))
            os.close(writer)
            assert await finish(engine) == Exit(0)
            await other.stop(0)
        assert log.tail(9) == ["before"]

    asyncio.run(scenario())


def test_an_engine_that_waits_at_its_gate_ends_on_sigterm(place: Place) -> None:
    async def scenario() -> None:
        log = Log(None)
        async with place.launcher() as launcher:
            await launcher.wait_until_ready()
            reader, writer = os.pipe()
            engine = await place.start_warm(launcher, place.command("start-child"), log, gate=reader)
            os.close(reader)
            await read_line(log)
            await engine.stop(60)
            os.close(writer)
            assert await engine.wait() == Exit(None, signal.SIGTERM)

    asyncio.run(scenario())


# Handover and answers that make no sense


def test_a_launcher_is_handed_over_with_its_report_and_forks_for_the_next_owner(place: Place) -> None:
    async def scenario() -> None:
        log = Log(None)
        spec = place.runtime.spec("json", environment=place.environment)
        first = await Launcher.start(spec, place.new_folder(), log, None)
        report = await first.wait_until_ready()
        snapshot = first.snapshot()
        assert snapshot is not None
        first._loop.remove_reader(first._channel)
        channel = first._channel.detach()
        first.process._loop.remove_reader(first.process._pidfd)
        os.set_inheritable(channel, True)
        second = Launcher.adopt(snapshot, log)
        assert second.report == report
        assert not os.get_inheritable(channel)
        engine = Log(None)
        assert await finish(await place.start_warm(second, place.command("leave", "zero"), engine)) == Exit(0)
        assert engine.tail(1) == ["output"]
        await second.stop()

    asyncio.run(scenario())


@pytest.mark.parametrize("answer", [b"no JSON", b"[]", b'{"pid": "1"}', b'{"error": 5}'])
def test_an_answer_that_makes_no_sense_is_a_reason_to_start_cold(place: Place, answer: bytes) -> None:
    """The launcher's program is another one, with the same socket."""
    place.write(
        "odd",
        f"""
import os, socket
for name in os.listdir("/proc/self/fd"):
    try: kind = os.readlink("/proc/self/fd/" + name)
    except OSError: continue
    if kind.startswith("socket:"): channel = socket.socket(fileno=os.dup(int(name)))
channel.send(b'{{}}')
while channel.recv(100000): channel.send({answer!r})
os._exit(0)
""",
    )

    async def scenario() -> None:
        async with place.launcher("odd") as launcher:
            await launcher.wait_until_ready()
            with pytest.raises(LaunchError, match="the launcher does not answer"):
                await place.start_warm(launcher, place.command("wait"), Log(None))

    asyncio.run(scenario())


def wait_for_exit(pid: int) -> None:
    """Wait without the event loop, so that nobody notices yet that its socket is closed."""
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


def test_a_launcher_that_was_killed_a_moment_ago_is_reported_as_ended(place: Place) -> None:
    async def scenario() -> None:
        async with place.launcher() as launcher:
            await launcher.wait_until_ready()
            os.kill(launcher.process.pid, signal.SIGKILL)
            wait_for_exit(launcher.process.pid)
            with pytest.raises(LaunchError, match="the launcher has ended"):
                await place.start_warm(launcher, place.command("wait"), Log(None))

    asyncio.run(scenario())


@pytest.mark.parametrize("report", [b"no JSON", b"[]", b'{"variables": 1}'])
def test_a_report_that_makes_no_sense_ends_the_launcher(place: Place, report: bytes) -> None:
    place.write(
        "odd",
        f"""
import os, socket, time
for name in os.listdir("/proc/self/fd"):
    try: kind = os.readlink("/proc/self/fd/" + name)
    except OSError: continue
    if kind.startswith("socket:"): channel = socket.socket(fileno=os.dup(int(name)))
channel.send({report!r})
""",
    )

    async def scenario() -> None:
        async with place.launcher("odd") as launcher:
            with pytest.raises(LaunchError, match="the launcher's report cannot be read"):
                await launcher.wait_until_ready()
            assert launcher.snapshot() is None

    asyncio.run(scenario())


# Adopted children


def test_what_an_engine_has_left_is_reaped_but_no_child_that_somebody_waits_for(place: Place) -> None:
    async def scenario() -> None:
        log = Log(None)
        async with place.launcher() as launcher:
            await launcher.wait_until_ready()
            engine = await place.start_warm(launcher, place.command("leave-child"), log)
            await engine.wait()
            own = await asyncio.create_subprocess_exec("sleep", "600")
            own.kill()
            (left,) = [
                pid
                for pid, stat in pids.read_processes().items()
                if stat.session == engine.pid and pid != engine.pid
            ]
            children.reap_adopted()  # also what earlier tests have left
            assert exists(left)
            os.kill(left, signal.SIGKILL)
            await wait_until(lambda: not is_running(left))
            await wait_until(lambda: not is_running(own.pid) or own.returncode is not None)
            assert children.reap_adopted() == [left]
            assert not exists(left)
            assert await own.wait() == -signal.SIGKILL
            assert exists(engine.pid)  # a zombie, whose number no other process may get
            await engine.stop(0)
            assert not exists(engine.pid)

    asyncio.run(scenario())

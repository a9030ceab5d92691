"""A child process and everything it forks, on both event loops, with children that behave badly."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import uvloop

from sparkd.engines.engine import Command, Exit
from sparkd.errors import LaunchError
from sparkd.processes.log import Log
from sparkd.processes.process import Process
from tests.processes.children import (
    ENVIRONMENT,
    bad_engine,
    is_running,
    pids_of,
    python,
    read_events,
    wait_until,
)

Runner = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(params=[asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Runner:
    runner: Runner = request.param
    return runner


def count_descriptors() -> int:
    """Return the number of files that this process has open."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


async def start_process(directory: Path, *flags: str) -> Process:
    """Start a bad engine and wait until it is ready."""
    process = await Process.start(bad_engine(*flags), directory, Log(None))
    await wait_until(lambda: pids_of(directory, "ready"))
    return process


def test_a_process_has_its_own_session_no_input_and_only_the_environment_it_is_given(
    tmp_path: Path, run: Runner
) -> None:
    program = (
        "import os, sys; print(os.getsid(0) == os.getpid(), sys.stdin.read() == '', oct(os.umask(0)),"
        " os.getcwd(), sorted(os.environ), len(os.listdir('/proc/self/fd')))"
    )

    async def scenario() -> None:
        log = Log(None)
        process = await Process.start(python(program), tmp_path, log)
        assert await process.wait() == Exit(0)
        await process.stop(0)
        # Descriptors: 0, 1, 2 and the one that lists them.
        environment = sorted([*ENVIRONMENT, "LC_CTYPE"])  # Python itself sets LC_CTYPE (PEP 538)
        assert log.tail(1) in ([f"True True 0o77 {tmp_path} {e} 4"] for e in (environment, ["PATH"]))

    run(scenario())


def test_the_last_output_is_in_the_log_when_the_exit_is_reported(tmp_path: Path, run: Runner) -> None:
    async def scenario() -> None:
        log = Log(None)
        last = "print(*range(20000), sep='\\n'); print('ValueError: why', end=''); import sys; sys.exit(3)"
        process = await Process.start(python(last), tmp_path, log)
        assert await process.wait() == Exit(3)
        assert log.tail(1) == ["19999"]  # the log adds the unfinished line when it is closed
        await process.stop(0)
        log.close()
        assert log.tail(2) == ["19999", "ValueError: why"]

    run(scenario())


def test_several_tasks_may_wait_and_cancelling_one_does_not_affect_the_others(
    tmp_path: Path, run: Runner
) -> None:
    async def scenario() -> None:
        process = await start_process(tmp_path)
        waiting = [asyncio.create_task(process.wait()) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await process.stop(5)
        assert await asyncio.gather(*waiting[1:]) == [Exit(0), Exit(0)]

    run(scenario())


@pytest.mark.parametrize(
    ("name", "mode", "text", "reason"),
    [
        ("absent", None, "", "the file does not exist"),
        ("plain", 0o644, "#!/bin/sh\n", "not an executable file"),
        ("orphaned", 0o755, "#!/no/such/python\n", "interpreter named in its first line is missing"),
        ("noise", 0o755, "\x7fELF\x01", "not a program for this machine"),
    ],
)
def test_a_program_that_cannot_be_started_is_reported_with_its_name_and_reason(
    tmp_path: Path, name: str, mode: int | None, text: str, reason: str
) -> None:
    program = tmp_path / name
    if mode is not None:
        program.write_text(text)
        program.chmod(mode)
    before = count_descriptors()

    async def scenario() -> None:
        with pytest.raises(LaunchError, match=f"cannot start {program}: .*{reason}"):
            await Process.start(Command((str(program),), ENVIRONMENT), tmp_path, Log(None))

    asyncio.run(scenario())
    assert count_descriptors() == before


@pytest.mark.parametrize(
    ("argv", "reason"),
    [
        (("no-such-program",), "no program of this name in PATH"),
        (("sh", "a\0b"), "null byte"),
        (("sh", "x" * 3_000_000), "Argument list too long"),
    ],
)
def test_a_command_that_cannot_be_started_is_reported(
    tmp_path: Path, argv: tuple[str, ...], reason: str
) -> None:
    async def scenario() -> None:
        with pytest.raises(LaunchError, match=reason):
            await Process.start(Command(argv, ENVIRONMENT), tmp_path, Log(None))

    asyncio.run(scenario())


def test_a_cooperative_process_exits_at_the_first_sigterm(tmp_path: Path, run: Runner) -> None:
    async def scenario() -> None:
        process = await start_process(tmp_path)
        assert process.remaining_pids() == [process.pid]
        await asyncio.wait_for(process.stop(600), 60)
        assert await process.wait() == Exit(0)
        assert process.remaining_pids() == []

    run(scenario())


def test_sigterm_is_repeated_for_a_process_that_misses_the_first(tmp_path: Path, run: Runner) -> None:
    async def scenario() -> None:
        process = await start_process(tmp_path, "--deaf-to", "2")
        await process.stop(0.5)
        assert await process.wait() == Exit(0)
        assert [event["count"] for event in read_events(tmp_path) if event["event"] == "sigterm"] == [1, 2, 3]

    run(scenario())


def test_a_process_that_ignores_sigterm_is_killed_after_the_grace_period(tmp_path: Path, run: Runner) -> None:
    async def scenario() -> None:
        process = await start_process(tmp_path, "--deaf")
        before = time.monotonic()
        await process.stop(0.3)
        assert time.monotonic() - before >= 0.3
        assert await process.wait() == Exit(None, signal.SIGKILL)

    run(scenario())


def test_grandchildren_are_killed_too_even_outside_session_and_folder(tmp_path: Path, run: Runner) -> None:
    async def scenario() -> None:
        process = await start_process(tmp_path, "--fork-grandchildren", "2", "--fork-runaways", "2")
        family = pids_of(tmp_path, "ready", "grandchild", "runaway")
        await wait_until(lambda: len(pids_of(tmp_path, "grandchild", "runaway")) == 4)
        family = pids_of(tmp_path, "ready", "grandchild", "runaway")
        assert process.remaining_pids() == sorted(family)
        await process.stop(1)
        assert not any(map(is_running, family))

    run(scenario())


def test_children_of_a_killed_process_are_found_and_killed(tmp_path: Path, run: Runner) -> None:
    async def scenario() -> None:
        process = await start_process(tmp_path, "--fork-grandchildren", "1", "--fork-runaways", "1")
        await wait_until(lambda: len(pids_of(tmp_path, "grandchild", "runaway")) == 2)
        left = sorted(pids_of(tmp_path, "grandchild", "runaway"))
        os.kill(process.pid, signal.SIGKILL)
        assert await process.wait() == Exit(None, signal.SIGKILL)
        assert process.remaining_pids() == left
        await process.stop(10)
        assert not any(map(is_running, left))

    run(scenario())


def test_a_suspended_process_is_resumed_to_handle_sigterm(tmp_path: Path, run: Runner) -> None:
    async def scenario() -> None:
        process = await start_process(tmp_path)
        os.kill(process.pid, signal.SIGSTOP)
        await asyncio.wait_for(process.stop(600), 60)
        assert await process.wait() == Exit(0)

    run(scenario())


def test_a_stop_with_less_grace_shortens_an_earlier_stop(tmp_path: Path, run: Runner) -> None:
    async def scenario() -> None:
        process = await start_process(tmp_path, "--deaf")
        long_stop = asyncio.create_task(process.stop(600))
        await wait_until(lambda: any(event["event"] == "sigterm" for event in read_events(tmp_path)))
        await process.stop(0)
        await asyncio.wait_for(long_stop, 60)
        await process.stop(1)  # another call is harmless

    run(scenario())


def test_kill_does_not_wait(tmp_path: Path, run: Runner) -> None:
    async def scenario() -> None:
        process = await start_process(tmp_path, "--deaf", "--fork-runaways", "1")
        await wait_until(lambda: pids_of(tmp_path, "runaway"))
        process.kill()
        assert await process.wait() == Exit(None, signal.SIGKILL)
        await wait_until(lambda: not process.remaining_pids())
        await process.stop(0)
        process.kill()

    run(scenario())


def test_foreign_processes_are_never_signalled(tmp_path: Path, run: Runner) -> None:
    own, other = tmp_path / "m.1", tmp_path / "m.10"  # one name is a prefix of the other
    own.mkdir()
    other.mkdir()
    foreign_process = subprocess.Popen(["sleep", "600"], cwd=other)

    async def scenario() -> None:
        process = await start_process(own, "--fork-runaways", "1")
        assert foreign_process.pid not in process.remaining_pids()
        await process.stop(1)

    try:
        run(scenario())
        assert foreign_process.poll() is None
    finally:
        foreign_process.kill()
        foreign_process.wait()


def test_a_flood_of_output_blocks_neither_the_engine_nor_the_event_loop(tmp_path: Path, run: Runner) -> None:
    async def scenario() -> None:
        log = Log(None)
        process = await Process.start(bad_engine("--flood-stdout"), tmp_path, log)
        counters = Path(f"/proc/{process.pid}/io")
        longest = 0.0

        def count_written() -> int:
            return int(counters.read_text().split("wchar: ")[1].split()[0])

        while count_written() < 100_000_000:
            before = time.thread_time()
            await asyncio.sleep(0)
            longest = max(longest, time.thread_time() - before)
        assert longest < 0.25, "seconds of our own work in one turn of the event loop"
        await process.stop(5)
        log.close()
        assert any(line.endswith("lines dropped]") for line in log.tail(2000))
        assert set(log.tail(2000)) >= {"y"}

    run(scenario())


def test_no_descriptor_is_left_open(tmp_path: Path, run: Runner) -> None:
    counts: list[int] = []

    async def scenario() -> None:
        for _ in range(3):
            process = await Process.start(python("pass"), tmp_path, Log(None))
            await process.wait()
            await process.stop(0)
            counts.append(count_descriptors())

    run(scenario())
    assert len(set(counts)) == 1


def test_an_adopted_process_keeps_its_output_unless_it_has_closed_it(tmp_path: Path, run: Runner) -> None:
    """By then, the number of the closed descriptor may belong to another file."""
    program = "import os, time; print('first', flush=True); os.close(1); os.close(2); time.sleep(600)"

    async def scenario() -> None:
        log = Log(None)
        process = await Process.start(python(program), tmp_path, log)
        snapshot = process.snapshot()
        assert snapshot is not None
        await wait_until(lambda: (now := process.snapshot()) and now.output is None)
        adopted = Process.adopt(process.snapshot() or snapshot, log)
        assert log.tail(9) == ["first"]
        adopted.kill()
        assert await adopted.wait() == Exit(None, signal.SIGKILL)
        await process.stop(0)
        assert adopted.snapshot() is None

    run(scenario())

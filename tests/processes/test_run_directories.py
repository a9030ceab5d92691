"""Private folders, log files, and the removal of what a killed sparkd left, without harm to foreign processes."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sparkd.processes import pids
from sparkd.processes.run_directories import MAX_LOGS, RunDirectories, _short_base
from tests.processes.children import is_running, pids_of

SPARKD = """
import asyncio, sys
from pathlib import Path
from sparkd.processes.log import Log
from sparkd.processes.process import Process
from sparkd.processes.run_directories import RunDirectories
from tests.processes.children import bad_engine, pids_of, wait_until

async def main(run, *flags):
    run_directories = RunDirectories(Path(run), Path(run) / "logs")
    directory = run_directories.create("org/some model", 1)
    process = await Process.start(bad_engine("--deaf", *flags), directory, Log(None))
    run_directories.record_process(directory, process.pid)
    await wait_until(lambda: pids_of(directory, "ready"))
    await wait_until(lambda: len(pids_of(directory, "grandchild", "runaway")) == 2)
    print(directory, flush=True)
    await asyncio.sleep(600)

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture
def run() -> Iterator[Path]:
    """Yield a run folder with a path short enough for sockets."""
    path = Path(f"/tmp/sparkd-test-{os.getpid()}")
    path.mkdir(mode=0o700)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def run_directories(run: Path) -> RunDirectories:
    return RunDirectories(run, run / "logs")


def kill_a_sparkd(run: Path) -> tuple[Path, list[int]]:
    """Run a sparkd with one engine and kill it; return the engine's folder, and the PIDs that still run."""
    flags = ("--fork-grandchildren", "1", "--fork-runaways", "1")
    with subprocess.Popen(
        [sys.executable, "-c", SPARKD, str(run), *flags], stdout=subprocess.PIPE, text=True
    ) as sparkd:
        assert sparkd.stdout is not None
        directory = Path(sparkd.stdout.readline().strip())
        sparkd.kill()
    left = pids_of(directory, "started", "grandchild", "runaway")
    assert len(left) == 3
    assert all(map(is_running, left))
    return directory, left


@pytest.fixture
def foreign_process() -> Iterator[subprocess.Popen[bytes]]:
    """Yield a process that is not part of sparkd."""
    with subprocess.Popen(["sleep", "600"], start_new_session=True) as process:
        yield process
        process.kill()


def wait_for_exit(pid: int) -> None:
    deadline = time.monotonic() + 60
    while is_running(pid):
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_private_folder_is_accessible_only_to_us_and_has_room_for_an_engines_longest_socket_name(
    run_directories: RunDirectories,
) -> None:
    directory = run_directories.create("a-model-with-a-very-long-name-that-goes-on-and-on", 12345)
    assert directory.stat().st_mode & 0o777 == 0o700
    assert "a-model-with-a-very-long" in directory.name
    with socket.socket(socket.AF_UNIX) as longest:
        longest.bind(f"{directory}/{'x' * 36}")
    run_directories.remove(directory)
    assert not directory.exists()
    assert list(directory.parent.iterdir()) == []


def test_two_models_never_share_a_folder(run_directories: RunDirectories) -> None:
    names = ["a/b", "a b", "a.b", "a-b", "ü", "é", "", "..", "A-B"]
    directories = {run_directories.create(name, 1) for name in names} | {run_directories.create("a-b", 2)}
    assert len(directories) == len(names) + 1
    assert {directory.parent for directory in directories} == {run_directories.create("a-b", 3).parent}


def test_a_run_folder_too_long_for_sockets_is_replaced_by_a_short_one_and_reported(tmp_path: Path) -> None:
    long = tmp_path / ("x" * 60)
    run_directories = RunDirectories(long, tmp_path / "logs")
    assert run_directories.notice is not None
    assert str(long) in run_directories.notice
    directory = run_directories.create("m", 1)
    assert str(directory.parent) in run_directories.notice
    assert directory.parent.stat().st_mode & 0o777 == 0o700
    assert RunDirectories(long, tmp_path).create("m", 2).parent == directory.parent
    with socket.socket(socket.AF_UNIX) as longest:
        longest.bind(f"{directory}/{'x' * 36}")
    run_directories.remove(directory)
    run_directories.remove(directory.with_name(directory.name.replace(".1", ".2")))
    assert not directory.parent.exists()


def test_a_short_folder_that_another_user_created_is_rejected(tmp_path: Path) -> None:
    long = tmp_path / ("x" * 60)
    short = _short_base(long)
    (tmp_path / "trap").mkdir()
    short.symlink_to(tmp_path / "trap")
    try:
        with pytest.raises(PermissionError, match="exists, but other users can access it"):
            RunDirectories(long, tmp_path).create("m", 1)
    finally:
        short.unlink()
    short.mkdir(mode=0o777)
    short.chmod(0o777)
    try:
        with pytest.raises(PermissionError, match="exists, but other users can access it"):
            RunDirectories(long, tmp_path).create("m", 1)
    finally:
        short.rmdir()
    assert list((tmp_path / "trap").iterdir()) == []


def test_the_last_logs_of_each_model_are_kept_and_none_is_overwritten(
    run_directories: RunDirectories, run: Path
) -> None:
    other = run_directories.new_log_path("m.1", 1)
    other.write_text("another model's")
    paths = []
    for _ in range(MAX_LOGS + 3):
        path = run_directories.new_log_path("m", 1)  # each sparkd counts its runs from 1
        assert not path.exists()
        path.write_text("a failure")
        paths.append(path)
        time.sleep(0.002)
    kept = sorted(path for path in (run / "logs").iterdir() if path != other)
    assert kept == paths[-MAX_LOGS:]
    assert other.exists()


def test_names_of_logs_contain_the_model_and_never_leave_the_folder(
    run_directories: RunDirectories, run: Path
) -> None:
    assert run_directories.new_log_path("qwen3-32b", 7).name.startswith("qwen3-32b.")
    for name in ("../../etc/passwd", "org/name", "a b", ".."):
        assert run_directories.new_log_path(name, 1).parent == run / "logs"
    assert (
        run_directories.new_log_path("a/b", 1).name.rpartition(".2")[0]
        != run_directories.new_log_path("a b", 1).name.rpartition(".2")[0]
    )


def test_everything_that_a_killed_sparkd_left_is_killed_and_removed(
    run_directories: RunDirectories, run: Path
) -> None:
    directory, left = kill_a_sparkd(run)
    [line] = asyncio.run(run_directories.reap_orphans())
    numbers = ", ".join(map(str, sorted(left)))
    assert line == f"Killed processes of org/some model that a killed sparkd left: PID {numbers}"
    assert not any(map(is_running, left))
    assert list(directory.parent.iterdir()) == []
    assert asyncio.run(run_directories.reap_orphans()) == []


def test_orphans_are_found_even_if_their_parent_was_killed_too(
    run_directories: RunDirectories, run: Path
) -> None:
    _, left = kill_a_sparkd(run)
    os.kill(left[0], signal.SIGKILL)
    wait_for_exit(left[0])
    [line] = asyncio.run(run_directories.reap_orphans())
    assert str(left[1]) in line
    assert str(left[2]) in line
    assert not any(map(is_running, left))


@pytest.mark.parametrize(
    "text", ["", '{"model": "m", "own', "[]", '{"model": 1, "owner": [1], "leader": {}}']
)
def test_an_incomplete_record_hides_no_process(run_directories: RunDirectories, run: Path, text: str) -> None:
    directory, left = kill_a_sparkd(run)
    directory.with_name(f"{directory.name}.json").write_text(text)
    directory.with_name(f"{directory.name}.json.new").write_text("{")
    assert len(asyncio.run(run_directories.reap_orphans())) == 1
    assert not any(map(is_running, left))
    assert list(directory.parent.glob("*.json")) == []


def test_engines_of_a_running_sparkd_are_not_killed(
    run_directories: RunDirectories, run: Path, foreign_process: subprocess.Popen[bytes]
) -> None:
    directory = run_directories.create("m", 1)
    run_directories.record_process(directory, foreign_process.pid)
    assert asyncio.run(RunDirectories(run, run / "logs").reap_orphans()) == []
    assert directory.exists()
    assert foreign_process.poll() is None


def test_a_foreign_process_with_the_recorded_pid_is_not_signalled(
    run_directories: RunDirectories, run: Path, foreign_process: subprocess.Popen[bytes]
) -> None:
    directory, left = kill_a_sparkd(run)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    for pid in left:
        wait_for_exit(pid)
    path = directory.with_name(f"{directory.name}.json")
    record = json.loads(path.read_text())
    record["leader"] = [foreign_process.pid, record["leader"][1]]
    path.write_text(json.dumps(record))
    assert asyncio.run(run_directories.reap_orphans()) == []
    assert not directory.exists()
    assert foreign_process.poll() is None


def test_pids_of_another_boot_are_ignored(
    run_directories: RunDirectories, foreign_process: subprocess.Popen[bytes]
) -> None:
    directory = run_directories.create("m", 1)
    run_directories.record_process(directory, foreign_process.pid)
    path = directory.with_name(f"{directory.name}.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), "boot": "another"}))
    assert asyncio.run(run_directories.reap_orphans()) == []
    assert foreign_process.poll() is None
    assert not directory.exists()


def test_leftover_sockets_and_files_without_a_process_are_removed(
    run_directories: RunDirectories, run: Path
) -> None:
    directory = run_directories.create("m", 1)
    directory.with_name(f"{directory.name}.json").unlink()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(directory / "api.sock"))
    assert asyncio.run(run_directories.reap_orphans()) == []
    assert list((run / "engines").iterdir()) == []


def test_reaping_finds_nothing_in_an_absent_folder(tmp_path: Path) -> None:
    assert asyncio.run(RunDirectories(tmp_path / "run", tmp_path / "logs").reap_orphans()) == []


def test_a_pid_is_only_signalled_while_it_is_the_same_process() -> None:
    with subprocess.Popen(["sleep", "600"]) as child:
        identity = pids.identify(child.pid)
        assert identity is not None
        pids.send_signal(identity._replace(start_time=identity.start_time - 1), signal.SIGKILL)
        assert pids.is_running(identity)
        pids.send_signal(identity, signal.SIGKILL)
    assert not pids.is_running(identity)
    pids.send_signal(identity, signal.SIGKILL)
    assert pids.read_stat(identity.pid) is None

"""Private folders, log files, and what a killed sparkd left: found, ended, removed, and no stranger harmed."""

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
from sparkd.processes.places import LOGS_KEPT, Places, _short
from tests.processes.children import pids_of, runs

SPARKD = """
import asyncio, sys
from pathlib import Path
from sparkd.processes.log import Log
from sparkd.processes.places import Places
from sparkd.processes.process import Process
from tests.processes.children import bad, pids_of, until

async def main(run, *flags):
    places = Places(Path(run), Path(run) / "logs")
    directory = places.open("org/some model", 1)
    process = await Process.start(bad("--deaf", *flags), directory, Log(None))
    places.record(directory, process.pid)
    await until(lambda: pids_of(directory, "ready"))
    await until(lambda: len(pids_of(directory, "grandchild", "runaway")) == 2)
    print(directory, flush=True)
    await asyncio.sleep(60)

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture
def run() -> Iterator[Path]:
    """A run folder short enough for sockets."""
    path = Path(f"/tmp/sparkd-test-{os.getpid()}")
    path.mkdir(mode=0o700)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def places(run: Path) -> Places:
    return Places(run, run / "logs")


def kill_a_sparkd(run: Path) -> tuple[Path, list[int]]:
    """Run a sparkd with one engine and kill it; return what it leaves: the folder, and the PIDs that live on."""
    flags = ("--fork-grandchildren", "1", "--fork-runaways", "1")
    with subprocess.Popen(
        [sys.executable, "-c", SPARKD, str(run), *flags], stdout=subprocess.PIPE, text=True
    ) as sparkd:
        assert sparkd.stdout is not None
        directory = Path(sparkd.stdout.readline().strip())
        sparkd.kill()
    left = pids_of(directory, "started", "grandchild", "runaway")
    assert len(left) == 3
    assert all(map(runs, left))
    return directory, left


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """A process of a user that has nothing to do with sparkd."""
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as process:
        yield process
        process.kill()


def wait_for_end_of(pid: int) -> None:
    deadline = time.monotonic() + 5
    while runs(pid):
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_private_folder_is_ours_alone_and_holds_the_longest_socket_of_an_engine(places: Places) -> None:
    directory = places.open("a-model-with-a-very-long-name-that-goes-on-and-on", 12345)
    assert directory.stat().st_mode & 0o777 == 0o700
    assert "a-model-with-a-very-long" in directory.name
    with socket.socket(socket.AF_UNIX) as longest:
        longest.bind(f"{directory}/{'x' * 36}")
    places.close(directory)
    assert not directory.exists()
    assert list(directory.parent.iterdir()) == []


def test_folders_of_two_models_never_meet(places: Places) -> None:
    names = ["a/b", "a b", "a.b", "a-b", "ü", "é", "", "..", "A-B"]
    directories = {places.open(name, 1) for name in names} | {places.open("a-b", 2)}
    assert len(directories) == len(names) + 1
    assert {directory.parent for directory in directories} == {places.open("a-b", 3).parent}


def test_a_run_folder_too_long_for_sockets_gets_a_short_one_of_its_own_and_says_so(tmp_path: Path) -> None:
    long = tmp_path / ("x" * 60)
    places = Places(long, tmp_path / "logs")
    assert places.notice is not None
    assert str(long) in places.notice
    directory = places.open("m", 1)
    assert str(directory.parent) in places.notice
    assert directory.parent.stat().st_mode & 0o777 == 0o700
    assert Places(long, tmp_path).open("m", 2).parent == directory.parent
    with socket.socket(socket.AF_UNIX) as longest:
        longest.bind(f"{directory}/{'x' * 36}")
    places.close(directory)
    places.close(directory.with_name(directory.name.replace(".1", ".2")))
    assert not directory.parent.exists()


def test_a_short_folder_that_somebody_else_prepared_is_refused(tmp_path: Path) -> None:
    long = tmp_path / ("x" * 60)
    short = _short(long)
    (tmp_path / "trap").mkdir()
    short.symlink_to(tmp_path / "trap")
    try:
        with pytest.raises(PermissionError, match="is not a folder of ours alone"):
            Places(long, tmp_path).open("m", 1)
    finally:
        short.unlink()
    short.mkdir(mode=0o777)
    short.chmod(0o777)
    try:
        with pytest.raises(PermissionError, match="is not a folder of ours alone"):
            Places(long, tmp_path).open("m", 1)
    finally:
        short.rmdir()
    assert list((tmp_path / "trap").iterdir()) == []


def test_the_last_logs_of_each_model_are_kept_and_none_is_written_over(places: Places, run: Path) -> None:
    other = places.log_path("m.1", 1)
    other.write_text("another model's")
    paths = []
    for _ in range(LOGS_KEPT + 3):
        path = places.log_path("m", 1)  # each sparkd counts its runs from 1
        assert not path.exists()
        path.write_text("a failure")
        paths.append(path)
        time.sleep(0.002)
    kept = sorted(path for path in (run / "logs").iterdir() if path != other)
    assert kept == paths[-LOGS_KEPT:]
    assert other.exists()


def test_names_of_logs_tell_the_model_and_never_leave_the_folder(places: Places, run: Path) -> None:
    assert places.log_path("qwen3-32b", 7).name.startswith("qwen3-32b.")
    for name in ("../../etc/passwd", "org/name", "a b", ".."):
        assert places.log_path(name, 1).parent == run / "logs"
    assert (
        places.log_path("a/b", 1).name.rpartition(".2")[0]
        != places.log_path("a b", 1).name.rpartition(".2")[0]
    )


def test_everything_that_a_killed_sparkd_left_is_ended_and_removed(places: Places, run: Path) -> None:
    directory, left = kill_a_sparkd(run)
    [line] = asyncio.run(places.reap())
    assert (
        line
        == f"org/some model: ended what a killed sparkd left of it: PID {', '.join(map(str, sorted(left)))}"
    )
    assert not any(map(runs, left))
    assert list(directory.parent.iterdir()) == []
    assert asyncio.run(places.reap()) == []


def test_orphans_are_found_when_their_parent_was_killed_as_well(places: Places, run: Path) -> None:
    _, left = kill_a_sparkd(run)
    os.kill(left[0], signal.SIGKILL)
    wait_for_end_of(left[0])
    [line] = asyncio.run(places.reap())
    assert str(left[1]) in line
    assert str(left[2]) in line
    assert not any(map(runs, left))


@pytest.mark.parametrize(
    "text", ["", '{"model": "m", "own', "[]", '{"model": 1, "owner": [1], "leader": {}}']
)
def test_a_record_that_was_half_written_hides_nothing(places: Places, run: Path, text: str) -> None:
    directory, left = kill_a_sparkd(run)
    directory.with_name(f"{directory.name}.json").write_text(text)
    directory.with_name(f"{directory.name}.json.new").write_text("{")
    assert len(asyncio.run(places.reap())) == 1
    assert not any(map(runs, left))
    assert list(directory.parent.glob("*.json")) == []


def test_what_a_living_sparkd_runs_is_left_alone(
    places: Places, run: Path, stranger: subprocess.Popen[bytes]
) -> None:
    directory = places.open("m", 1)
    places.record(directory, stranger.pid)
    assert asyncio.run(Places(run, run / "logs").reap()) == []
    assert directory.exists()
    assert stranger.poll() is None


def test_a_stranger_who_got_the_recorded_pid_is_not_touched(
    places: Places, run: Path, stranger: subprocess.Popen[bytes]
) -> None:
    directory, left = kill_a_sparkd(run)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    for pid in left:
        wait_for_end_of(pid)
    path = directory.with_name(f"{directory.name}.json")
    record = json.loads(path.read_text())
    record["leader"] = [stranger.pid, record["leader"][1]]
    path.write_text(json.dumps(record))
    assert asyncio.run(places.reap()) == []
    assert not directory.exists()
    assert stranger.poll() is None


def test_pids_of_another_boot_mean_nobody(places: Places, stranger: subprocess.Popen[bytes]) -> None:
    directory = places.open("m", 1)
    places.record(directory, stranger.pid)
    path = directory.with_name(f"{directory.name}.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), "boot": "another"}))
    assert asyncio.run(places.reap()) == []
    assert stranger.poll() is None
    assert not directory.exists()


def test_leftover_sockets_and_files_without_any_process_are_removed(places: Places, run: Path) -> None:
    directory = places.open("m", 1)
    directory.with_name(f"{directory.name}.json").unlink()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(directory / "api.sock"))
    assert asyncio.run(places.reap()) == []
    assert list((run / "engines").iterdir()) == []


def test_there_may_be_nothing_to_reap(tmp_path: Path) -> None:
    assert asyncio.run(Places(tmp_path / "run", tmp_path / "logs").reap()) == []


def test_a_pid_is_only_ever_signalled_while_it_is_the_same_process() -> None:
    with subprocess.Popen(["sleep", "60"]) as child:
        who = pids.identity(child.pid)
        assert who is not None
        pids.send(who._replace(start_time=who.start_time - 1), signal.SIGKILL)
        assert pids.lives(who)
        pids.send(who, signal.SIGKILL)
    assert not pids.lives(who)
    pids.send(who, signal.SIGKILL)
    assert pids.stat(who.pid) is None

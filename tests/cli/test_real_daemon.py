"""sparkctl against a real sparkd with engines that really run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.running import clean_environment, command, sparkctl
from tests.e2e.sparkd_process import SparkdProcess, engine, wait_until


@pytest.fixture
def sparkd() -> Iterator[SparkdProcess]:
    """A sparkd with an engine that is quick, one that is slow to start, and one that is broken."""
    models = {
        "quick": engine("--say", "hello ✓", aliases=["org/quick"]),
        "slow": engine("--start-gate", "never"),
        "broken": {
            "engine": "command",
            "command": ["/bin/sh", "-c", "echo 'no such flag'; exit 3", "{socket}"],
            "memory": "1 GiB",
        },
    }
    with tempfile.TemporaryDirectory(prefix="sparkd-ctl-") as folder:  # short: sockets live below it
        sparkd = SparkdProcess(Path(folder), {"models": models})
        sparkd.start()
        yield sparkd
        if sparkd.process.poll() is None:
            sparkd.stop()
        sparkd.assert_nothing_left()


def start_sparkctl(sparkd: SparkdProcess, *arguments: str) -> subprocess.Popen[str]:
    """A sparkctl that is still running."""
    return subprocess.Popen(
        command("--catalogue", sparkd.catalogue, *arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=clean_environment(),
        text=True,
    )


def test_a_model_is_loaded_shown_and_stopped(sparkd: SparkdProcess) -> None:
    loaded = sparkctl("load", "org/quick", cwd=sparkd.folder)
    assert (loaded.code, loaded.err) == (0, "")
    assert loaded.out.startswith("quick is ready (started in ")
    row = next(
        line for line in sparkctl("status", cwd=sparkd.folder).out.splitlines() if line.startswith("quick")
    )
    assert row.split()[:2] == ["quick", "ready"]
    assert row.endswith("1.0 GiB")
    assert sparkctl("stop", "quick", cwd=sparkd.folder).out == "quick is stopped\n"
    assert sparkctl("logs", "quick", cwd=sparkd.folder).out.startswith("hello ✓\n")


def test_a_start_that_fails_shows_its_cause_everywhere(sparkd: SparkdProcess) -> None:
    result = sparkctl("load", "broken", cwd=sparkd.folder)
    assert result.code == 1
    assert "exit code 3" in result.err
    assert "Try again in " in result.err
    status = sparkctl("status", "broken", cwd=sparkd.folder).out
    assert "failed, retry in " in status
    assert "exit code 3" in status
    assert sparkctl("logs", "broken", cwd=sparkd.folder).out == "no such flag\n"
    assert (
        sparkctl("retry", "broken", cwd=sparkd.folder).out
        == "broken is stopped; the next request for it starts it\n"
    )
    # Lifted, so it is tried again at once.
    assert sparkctl("load", "broken", cwd=sparkd.folder).code == 1


def test_ctrl_c_during_a_load_leaves_the_queue(sparkd: SparkdProcess) -> None:
    with start_sparkctl(sparkd, "load", "slow") as loading:
        wait_until("the load waits", lambda: sparkd.model("slow").waiting == 1)
        loading.send_signal(signal.SIGINT)
        assert loading.communicate(timeout=60) == ("", "")
        assert loading.returncode == 130
    wait_until("no requests waiting", lambda: sparkd.model("slow").waiting == 0)


def test_an_operators_stop_ends_a_load_that_waits(sparkd: SparkdProcess) -> None:
    with start_sparkctl(sparkd, "load", "slow", "--json") as loading:
        sparkd.until("slow", "starting")
        assert sparkctl("stop", "slow", cwd=sparkd.folder).code == 0
        out, err = loading.communicate(timeout=60)
    assert (loading.returncode, out) == (5, "")
    assert json.loads(err)["error"]["code"] == "model_stopped"


def test_following_ends_when_the_engine_is_killed(sparkd: SparkdProcess) -> None:
    assert sparkctl("load", "quick", cwd=sparkd.folder).code == 0
    with start_sparkctl(sparkd, "logs", "-f", "quick") as following:
        assert following.stdout is not None
        assert following.stdout.readline() == "hello ✓\n"
        pid = sparkd.model("quick").pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        assert following.communicate(timeout=60)[1] == "sparkctl: the process of quick has ended\n"
        assert following.returncode == 0


def test_a_daemon_that_stops_lets_nobody_wait_for_ever(sparkd: SparkdProcess) -> None:
    assert sparkctl("load", "quick", cwd=sparkd.folder).code == 0
    with (
        start_sparkctl(sparkd, "logs", "-f", "quick") as following,
        start_sparkctl(sparkd, "load", "slow") as loading,
    ):
        wait_until("the load waits", lambda: sparkd.model("slow").waiting == 1)
        assert following.stdout is not None
        following.stdout.readline()
        assert sparkd.stop() == 0
        assert following.wait(60) == 0
        assert "sparkd is stopping" in loading.communicate(timeout=60)[1]
        assert loading.returncode == 5
    assert sparkctl("status", cwd=sparkd.folder).code == 3


def test_commands_that_wait_fail_when_the_daemon_is_killed(sparkd: SparkdProcess) -> None:
    with start_sparkctl(sparkd, "load", "slow") as loading:
        wait_until("the load waits", lambda: sparkd.model("slow").waiting == 1)
        sparkd.stop(signal.SIGKILL)
        assert "broke off; sparkd may have stopped" in loading.communicate(timeout=60)[1]
        assert loading.returncode == 3
    sparkd.start()  # ends what the killed one left

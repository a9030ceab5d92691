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
from tests.e2e.house import House, engine, wait_until


@pytest.fixture
def house() -> Iterator[House]:
    """A sparkd with an engine that is quick, one that is slow to start, and one that is broken."""
    models = {
        "quick": engine("--say", "hello ✓", aliases=["org/quick"]),
        "slow": engine("--start-delay", "60"),
        "broken": {
            "engine": "command",
            "command": ["/bin/sh", "-c", "echo 'no such flag'; exit 3", "{socket}"],
            "memory": "1 GiB",
        },
    }
    with tempfile.TemporaryDirectory(prefix="sparkd-ctl-") as folder:  # short: sockets live below it
        house = House(Path(folder), {"models": models})
        house.start()
        yield house
        if house.process.poll() is None:
            house.stop()
        house.assert_nothing_left()


def ctl(house: House, *arguments: str) -> subprocess.Popen[str]:
    """A sparkctl that is still running."""
    return subprocess.Popen(
        command("--catalogue", house.catalogue, *arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=clean_environment(),
        text=True,
    )


def test_a_model_is_loaded_shown_and_stopped(house: House) -> None:
    loaded = sparkctl("load", "org/quick", cwd=house.folder)
    assert (loaded.code, loaded.err) == (0, "")
    assert loaded.out.startswith("quick is ready; its start took ")
    row = next(
        line for line in sparkctl("status", cwd=house.folder).out.splitlines() if line.startswith("quick")
    )
    assert row.split()[:2] == ["quick", "ready"]
    assert row.endswith("1.0 GiB")
    assert sparkctl("stop", "quick", cwd=house.folder).out == "quick is stopped\n"
    assert sparkctl("logs", "quick", cwd=house.folder).out.startswith("hello ✓\n")


def test_a_start_that_fails_shows_its_cause_everywhere(house: House) -> None:
    ran = sparkctl("load", "broken", cwd=house.folder)
    assert ran.code == 1
    assert "exit code 3" in ran.err
    assert "Try again in " in ran.err
    status = sparkctl("status", "broken", cwd=house.folder).out
    assert "backoff, again in " in status
    assert "exit code 3" in status
    assert sparkctl("logs", "broken", cwd=house.folder).out == "no such flag\n"
    assert (
        sparkctl("retry", "broken", cwd=house.folder).out
        == "broken is stopped; the next request for it starts it\n"
    )
    # Lifted, so it is tried again at once.
    assert sparkctl("load", "broken", cwd=house.folder).code == 1


def test_ctrl_c_during_a_load_leaves_the_queue(house: House) -> None:
    with ctl(house, "load", "slow") as loading:
        wait_until("the load waits", lambda: house.model("slow").waiting == 1)
        loading.send_signal(signal.SIGINT)
        assert loading.communicate(timeout=10) == ("", "")
        assert loading.returncode == 130
    wait_until("nobody waits", lambda: house.model("slow").waiting == 0, 1.0)


def test_an_operators_stop_ends_a_load_that_waits(house: House) -> None:
    with ctl(house, "load", "slow", "--json") as loading:
        house.until("slow", "starting")
        assert sparkctl("stop", "slow", cwd=house.folder).code == 0
        out, err = loading.communicate(timeout=10)
    assert (loading.returncode, out) == (5, "")
    assert json.loads(err)["error"]["code"] == "model_stopped"


def test_following_ends_when_the_engine_is_killed(house: House) -> None:
    assert sparkctl("load", "quick", cwd=house.folder).code == 0
    with ctl(house, "logs", "-f", "quick") as following:
        assert following.stdout is not None
        assert following.stdout.readline() == "hello ✓\n"
        pid = house.model("quick").pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        assert following.communicate(timeout=10)[1] == "sparkctl: the process of quick has ended\n"
        assert following.returncode == 0


def test_a_daemon_that_stops_lets_nobody_wait_for_ever(house: House) -> None:
    assert sparkctl("load", "quick", cwd=house.folder).code == 0
    with ctl(house, "logs", "-f", "quick") as following, ctl(house, "load", "slow") as loading:
        wait_until("the load waits", lambda: house.model("slow").waiting == 1)
        assert following.stdout is not None
        following.stdout.readline()
        assert house.stop() == 0
        assert following.wait(10) == 0
        assert "sparkd is stopping" in loading.communicate(timeout=10)[1]
        assert loading.returncode == 5
    assert sparkctl("status", cwd=house.folder).code == 3


def test_a_daemon_that_is_killed_is_told_to_who_waits(house: House) -> None:
    with ctl(house, "load", "slow") as loading:
        wait_until("the load waits", lambda: house.model("slow").waiting == 1)
        house.stop(signal.SIGKILL)
        assert "broke off; has sparkd stopped?" in loading.communicate(timeout=10)[1]
        assert loading.returncode == 3
    house.start()  # ends what the killed one left

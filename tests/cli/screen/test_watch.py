"""`sparkctl status --watch` on a terminal, with a real sparkd behind it."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.cli.running import clean_environment, command
from tests.cli.screen.emulator import Program
from tests.e2e.sparkd_process import SparkdProcess, engine, wait_until


@pytest.fixture
def sparkd() -> Iterator[SparkdProcess]:
    with tempfile.TemporaryDirectory(prefix="sparkd-watch-") as folder:  # short: sockets live below it
        gate = Path(folder) / "gate"
        models = {
            "quick": engine("--pace", "0.05", "--tokens", "100000", memory="3 GiB", aliases=["org/quick"]),
            "slow": engine("--start-gate", str(gate), "--say", "Loading weights", memory="4 GiB"),
            "large": engine(memory="9 GiB"),
        }
        sparkd = SparkdProcess(Path(folder), {"models": models})
        sparkd.start()
        yield sparkd
        gate.touch()
        if sparkd.process.poll() is None:
            sparkd.stop(signal.SIGTERM)
        sparkd.assert_nothing_left()


def watch(sparkd: SparkdProcess, *arguments: str, columns: int = 100) -> AbstractContextManager[Program]:
    argv = command("status", "--watch", "--interval", "0.2", "--socket", sparkd.folder / "run/control.sock")
    return Program([*argv, *arguments], columns=columns, lines=40)


def test_a_load_the_queue_and_requests_are_seen_while_they_happen(sparkd: SparkdProcess) -> None:
    with (
        sparkd.streaming("quick") as stream,
        sparkd.waiting_client("slow"),
        sparkd.waiting_client("large"),
        watch(sparkd) as screen,
    ):
        next(stream)
        shown = screen.until(lambda shown: "QUEUE  2 requests waiting (limit 1024)" in shown)
        shown = screen.until(lambda shown: "LOADING" in shown and "decoding" in shown)
        lines = shown.splitlines()
        assert "█ quick" in shown
        assert "slow 4.0 GiB reserved" in shown or "slow 0.0 of 4.0 GiB" in shown
        assert lines[lines.index("LOADING") + 1].lstrip("━─ ").startswith("slow ")
        assert any(line.startswith(" 1. slow ") for line in lines)
        assert any(line.startswith(" 2. large ") for line in lines)
        screen.interrupt()
        assert screen.wait() == 130
        screen.assert_clean()


def test_it_survives_a_daemon_that_is_killed_and_started_again(sparkd: SparkdProcess) -> None:
    with watch(sparkd, columns=40) as screen:
        screen.shows("quick")
        sparkd.stop(signal.SIGKILL)
        screen.until(lambda shown: "reconnecting for 1 s" in shown.splitlines()[0])
        sparkd.start()
        screen.until(lambda shown: "reconnecting" not in shown and "quick" in shown)
        screen.type("q")
        assert screen.wait() == 0
        screen.assert_clean()


def test_it_survives_a_daemon_that_replaces_itself(sparkd: SparkdProcess) -> None:
    sparkd.chat("quick", bad={"tokens": 1})
    with watch(sparkd) as screen:
        screen.until(lambda shown: "ready" in shown)
        before = sparkd.status().replacements
        assert sparkd.sparkctl("reexec").returncode == 0
        wait_until("it has been replaced", lambda: sparkd.status().replacements > before)
        screen.until(lambda shown: "serving" in shown and "ready" in shown and "reconnecting" not in shown)


def test_one_model_by_its_alias(sparkd: SparkdProcess) -> None:
    with watch(sparkd, "org/quick") as screen:
        shown = screen.shows("quick")
        assert "large" not in shown


def test_without_a_daemon_or_a_model_it_fails_before_the_screen_opens(sparkd: SparkdProcess) -> None:
    with watch(sparkd, "nonsense") as screen:
        assert screen.wait() == 4
        assert "\x1b[?1049h" not in screen.screen.raw
    sparkd.stop()
    with watch(sparkd) as screen:
        assert screen.wait() == 3
        assert "sparkd is not running" in screen.screen.raw
        assert "\x1b[?1049h" not in screen.screen.raw


def test_a_dumb_terminal_gets_lines(sparkd: SparkdProcess) -> None:
    argv = command("status", "--watch", "--interval", "0.1", "--socket", sparkd.folder / "run/control.sock")
    with Program(argv, lines=60, environment={"TERM": "dumb"}) as screen:
        screen.until(lambda _: screen.screen.raw.count("queue: no requests waiting") >= 2)
        assert "\x1b[" not in screen.screen.raw
        screen.interrupt()
        assert screen.wait() == 130


def test_keys_are_not_needed(sparkd: SparkdProcess) -> None:
    """Its stdin may be anything: the screen is shown without keys."""
    argv = command("status", "--watch", "--socket", sparkd.folder / "run/control.sock")
    with Program(["/bin/sh", "-c", f"exec {' '.join(map(str, argv))} < /dev/null"]) as screen:
        screen.shows("quick")
        screen.send(signal.SIGTERM)
        assert screen.wait() == 128 + signal.SIGTERM
        screen.assert_clean()


def test_in_a_pipe_it_prints_lines_as_before(sparkd: SparkdProcess) -> None:
    with subprocess.Popen(
        command("status", "--watch", "--interval", "0.1", "--socket", sparkd.folder / "run/control.sock"),
        stdout=subprocess.PIPE,
        env=clean_environment({"TERM": "xterm-256color"}),
    ) as watching:
        assert watching.stdout is not None
        text = b""
        while text.count(b"queue: no requests waiting") < 2:
            text += os.read(watching.stdout.fileno(), 65536)
        assert b"\x1b" not in text
        watching.kill()

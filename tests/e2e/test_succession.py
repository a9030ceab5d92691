"""Events between one sparkd and the next. These tests hold that moment open."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.e2e.conftest import Build
from tests.e2e.sparkd_process import SparkdProcess, engine, wait_until
from tests.e2e.test_reload import text, write

ROOT = Path(__file__).resolve().parent.parent.parent

WAITING_PROGRAM = """\
import os, time
if "SPARKD_HANDOVER" in os.environ:
    open({folder!r} + "/stopped", "w").close()
    while not os.path.exists({folder!r} + "/on"):
        time.sleep(0.01)
"""

Open = Callable[..., SparkdProcess]


@pytest.fixture
def open_daemon(folder: Path) -> Iterator[Open]:
    """Start a sparkd whose replacement waits, before anything else, until the test lets it continue."""
    (folder / "site").mkdir()
    (folder / "site" / "sitecustomize.py").write_text(WAITING_PROGRAM.format(folder=str(folder)))
    built: list[SparkdProcess] = []

    def start(models: dict[str, Any], **settings: Any) -> SparkdProcess:
        sparkd = SparkdProcess(folder, {"models": models, **settings})
        sparkd.start({**os.environ, "PYTHONPATH": f"{folder / 'site'}:{ROOT}"})
        built.append(sparkd)
        return sparkd

    yield start
    (folder / "on").touch()
    for sparkd in built:
        if sparkd.process.poll() is None:
            assert sparkd.stop() == 0, sparkd.log()
            sparkd.assert_nothing_left()


@contextmanager
def during_reexec(sparkd: SparkdProcess) -> Iterator[None]:
    """Run the block after one sparkd has ended and before the next one starts."""
    with subprocess.Popen(
        sparkd.command("reexec"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as reexec:
        try:
            wait_until("the first sparkd has ended", (sparkd.folder / "stopped").exists)
            yield
        finally:
            (sparkd.folder / "on").touch()
            wait_until(
                "sparkctl or sparkd has ended", lambda: reexec.poll() is not None or sparkd.process.poll()
            )
            reexec.kill()


def test_a_sigterm_during_a_reexec_takes_effect(open_daemon: Open) -> None:
    sparkd = open_daemon({"a": engine("--fork-grandchildren", "1")})
    text(sparkd, "a")
    with during_reexec(sparkd):
        sparkd.process.send_signal(signal.SIGTERM)
    assert sparkd.process.wait(120) == 0
    sparkd.assert_nothing_left()


def test_a_sighup_during_a_reexec_takes_effect(open_daemon: Open) -> None:
    sparkd = open_daemon({"a": engine()})
    text(sparkd, "a")
    with during_reexec(sparkd):
        sparkd.process.send_signal(signal.SIGHUP)
    wait_until("the catalogue is reloaded", lambda: "Catalogue reloaded: nothing changed" in sparkd.log())
    assert sparkd.log().count("Starting model") == 1


def test_an_engine_that_dies_during_a_reexec_is_noticed_and_cleaned_up(open_daemon: Open) -> None:
    sparkd = open_daemon({"a": engine()})
    text(sparkd, "a")
    pid = sparkd.model("a").pid
    assert pid
    with during_reexec(sparkd):
        os.kill(pid, signal.SIGKILL)
    sparkd.until("a", "backoff")
    assert "the engine was killed (SIGKILL)" in (sparkd.model("a").cause or "")
    wait_until("it is cleaned up", lambda: not psutil.pid_exists(pid))


def test_another_sparkd_that_starts_during_a_reexec_exits(open_daemon: Open) -> None:
    sparkd = open_daemon({"a": engine()})
    text(sparkd, "a")
    command = [sys.executable, "-m", "sparkd", "--catalogue", str(sparkd.catalogue)]
    with during_reexec(sparkd):
        other = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert f"another sparkd (PID {sparkd.process.pid}) already uses" in other.stderr
    assert text(sparkd, "a") == "one two three"
    assert sparkd.log().count("Starting model") == 1


def test_a_replacement_that_fails_to_start_leaves_no_engine(open_daemon: Open) -> None:
    sparkd = open_daemon({"a": engine("--fork-grandchildren", "1", "--fork-runaways", "1")})
    text(sparkd, "a")
    with during_reexec(sparkd):
        sparkd.catalogue.write_text("no catalogue any more")
    assert sparkd.process.wait(120) == 78
    wait_until("nothing is left", lambda: not sparkd.processes())


def test_an_engine_that_has_closed_its_output_keeps_running(build: Build) -> None:
    quiet = engine()
    quiet["command"] = ["/bin/sh", "-c", 'exec "$@" >/dev/null 2>&1', "sh", *quiet["command"]]
    sparkd = build({"a": quiet})
    text(sparkd, "a")
    descriptors = psutil.Process(sparkd.process.pid).num_fds()
    for _ in range(2):
        assert sparkd.sparkctl("reexec").returncode == 0, sparkd.log()
    assert text(sparkd, "a") == "one two three"
    assert sparkd.log().count("Starting model") == 1
    assert psutil.Process(sparkd.process.pid).num_fds() <= descriptors + 2


def test_a_load_does_not_delay_a_reexec_and_the_next_sparkd_performs_it(build: Build, folder: Path) -> None:
    """Even one that arrives when no request may wait any more."""
    sparkd = build(
        {"a": engine("--chunk-gate", str(folder / "never")), "b": engine()}, defaults={"drain_timeout": 1}
    )
    text(sparkd, "b")
    sparkd.sparkctl("stop", "b")
    with sparkd.streaming("a", "one two") as lines:
        next(lines)
        with subprocess.Popen(
            sparkd.command("reexec"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as reexec:
            wait_until("it has begun", lambda: sparkd.status().replacing)
            while reexec.poll() is None:
                sparkd.sparkctl("load", "b")
    assert sparkd.status().replacements == 1
    assert text(sparkd, "b") == "one two three"


def test_figures_of_a_run_are_not_used_for_a_new_definition(build: Build) -> None:
    settings = {"memory": {"total": "10 GiB", "reserve": 0, "learn": True}}
    sparkd = build({"a": engine("--allocate", str(2**27))}, **settings)
    text(sparkd, "a")
    wait_until("it has been measured", lambda: sparkd.model("a").memory_used)
    write(sparkd, {"a": engine("--allocate", str(2**20))}, **settings)
    sparkd.sparkctl("reload")
    sparkd.until("a", "stopped")
    assert sparkd.model("a").learned is None


def test_an_engine_that_the_next_sparkd_starts_inherits_nothing_of_the_handover(build: Build) -> None:
    sparkd = build({"a": engine(), "b": engine()})
    text(sparkd, "a")
    assert sparkd.sparkctl("reexec").returncode == 0
    for name in ("a", "b"):  # each then has an open connection
        text(sparkd, name)
    before, after = (psutil.Process(sparkd.model(name).pid) for name in ("a", "b"))
    assert after.environ().keys() == before.environ().keys()
    assert after.num_fds() == before.num_fds()
    masks = [
        [line for line in Path(f"/proc/{each.pid}/status").read_text().splitlines() if line.startswith("Sig")]
        for each in (before, after)
    ]
    assert masks[0][1:] == masks[1][1:], "an engine that hears no SIGTERM ends by SIGKILL"

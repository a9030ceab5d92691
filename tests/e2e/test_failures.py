"""Engines that fail in every known way, full disks, and a killed sparkd."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import ExitStack, closing
from pathlib import Path

import httpx

from tests.e2e.conftest import Build
from tests.e2e.sparkd_process import SparkdProcess, engine, wait_until

FAST = {"failures": {"backoff": 0.5, "backoff_max": 1.0, "max_failures": 3}}


def error(answer: httpx.Response) -> dict[str, str]:
    body: dict[str, str] = answer.json()["error"]
    return body


def kill_leader(sparkd: SparkdProcess, model: str) -> None:
    pid = sparkd.model(model).pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


def test_a_failed_start_reports_the_reason_and_when_to_retry(build: Build) -> None:
    sparkd = build(
        {"a": engine("--say", "CUDA out of memory. Tried to allocate 20 GiB", "--exit-at-start", "1")},
        failures={"backoff": 40.0},
    )
    asked = time.monotonic()
    answer = sparkd.chat("a")
    elapsed = time.monotonic() - asked
    assert answer.status_code == 503
    assert error(answer)["code"] == "model_failed"
    assert 'Model "a" failed: ' in error(answer)["message"]
    assert 40 - elapsed <= int(answer.headers["retry-after"]) <= 40
    assert sparkd.model("a").cause


def test_a_missing_program_is_reported_at_once(build: Build) -> None:
    sparkd = build(
        {"a": {"engine": "command", "command": ["/no/such/engine", "{socket}"], "memory": "1 GiB"}}
    )
    answer = sparkd.chat("a")
    assert answer.status_code == 503
    assert "/no/such/engine" in error(answer)["message"]


def test_failures_in_a_row_end_in_quarantine_until_a_retry(build: Build) -> None:
    sparkd = build({"a": engine("--exit-at-start", "1")}, **FAST)
    for _ in range(3):
        assert sparkd.chat("a").status_code == 503
        wait_until(
            "the backoff has ended",
            lambda: sparkd.model("a").state == "stopped" or sparkd.model("a").quarantined,
        )
    answer = sparkd.chat("a")
    assert "retry-after" not in answer.headers
    assert "is quarantined" in error(answer)["message"]
    assert sparkd.sparkctl("retry", "a").returncode == 0
    assert not sparkd.model("a").quarantined


def test_a_model_that_never_becomes_ready_is_stopped(build: Build) -> None:
    sparkd = build({"a": engine("--health", "never", "--fork-runaways", "1", start_timeout=1.0)})
    answer = sparkd.chat("a")
    assert "not ready within 1 second" in error(answer)["message"]
    wait_until("all of its processes have exited", lambda: not sparkd.processes())


def test_a_killed_engine_is_a_crash_and_its_children_are_killed(build: Build) -> None:
    sparkd = build({"a": engine("--fork-grandchildren", "2", "--fork-runaways", "2")}, **FAST)
    sparkd.chat("a")
    kill_leader(sparkd, "a")
    wait_until("the crash is detected", lambda: sparkd.model("a").cause)
    wait_until("all of its processes have exited", lambda: not sparkd.processes())
    assert "SIGKILL" in (sparkd.model("a").cause or "")
    wait_until("the backoff has ended", lambda: sparkd.model("a").state == "stopped")
    assert sparkd.chat("a").status_code == 200


def test_an_unexpected_exit_is_a_crash_even_with_code_0(build: Build) -> None:
    sparkd = build({"a": engine("--exit-after", "0.5", "--exit-code", "0")})
    sparkd.sparkctl("load", "a")
    wait_until("the crash is detected", lambda: sparkd.model("a").cause)


def test_an_engine_that_dies_mid_stream_ends_the_stream_with_an_error_event(build: Build) -> None:
    sparkd = build({"a": engine("--die-at-chunk", "3", "--tokens", "10")})
    with sparkd.streaming("a") as lines:
        received = list(lines)
    assert received[-1] == "data: [DONE]"
    error = json.loads(received[-2].removeprefix("data: "))
    assert error["error"]["code"] == "engine_failed"


def test_an_engine_that_dies_before_its_first_byte_is_a_502_or_503(build: Build) -> None:
    sparkd = build({"a": engine("--die-at-chunk", "0")})
    answer = sparkd.chat("a")
    assert answer.status_code in (502, 503)
    assert error(answer)["code"] in ("engine_failed", "model_failed")


def test_an_engine_that_does_not_answer_in_http_is_a_502(build: Build) -> None:
    sparkd = build({"a": engine("--garbage")})
    answer = sparkd.chat("a")
    assert answer.status_code == 502


def test_an_engine_that_ignores_sigterm_is_killed_after_the_grace_period(build: Build) -> None:
    sparkd = build({"a": engine("--deaf", "--fork-runaways", "1", stop_grace=0.5)})
    sparkd.chat("a")
    assert sparkd.sparkctl("stop", "a").returncode == 0
    sparkd.assert_nothing_left()


def test_a_suspended_engine_can_still_be_stopped(build: Build) -> None:
    """After SIGSTOP it neither answers nor handles a SIGTERM."""
    sparkd = build({"a": engine("--deaf", stop_grace=0.5)})
    sparkd.chat("a")
    pid = sparkd.model("a").pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    assert sparkd.sparkctl("stop", "a").returncode == 0
    sparkd.assert_nothing_left()


def test_an_engine_that_floods_its_output_neither_blocks_nor_delays_others(build: Build) -> None:
    sparkd = build({"loud": engine("--flood-stdout"), "calm": engine()})
    assert sparkd.chat("loud").status_code == 200
    for _ in range(20):
        assert sparkd.chat("calm").status_code == 200
    assert "lines dropped" in sparkd.sparkctl("logs", "-n", "2000", "loud").stdout


def starts_on_record(folder: Path) -> list[str]:
    """Return the models that the history says are starting. A slow disk takes a while to record that one is ready."""
    with closing(sqlite3.connect(folder / "state" / "history.sqlite")) as history:
        return [model for (model,) in history.execute("SELECT model FROM starting")]


def test_the_next_sparkd_kills_the_orphans_of_a_killed_one(build: Build) -> None:
    sparkd = build({"a": engine("--fork-grandchildren", "1", "--fork-runaways", "1")})
    sparkd.chat("a")
    wait_until("the start is no longer on record", lambda: not starts_on_record(sparkd.folder))
    sparkd.stop(signal.SIGKILL)
    assert sparkd.processes(), "an engine outlives a killed sparkd: that is the point of this test"
    sparkd.start()
    assert "that a killed sparkd left: PID" in sparkd.log()
    sparkd.assert_nothing_left()
    assert sparkd.chat("a").status_code == 200


def test_two_daemons_do_not_share_a_run_folder(build: Build) -> None:
    sparkd = build({"a": engine()})
    sparkd.chat("a")
    command = [sys.executable, "-m", "sparkd", "--catalogue", str(sparkd.catalogue)]
    second = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert second.returncode == 1
    assert f"another sparkd (PID {sparkd.process.pid}) already uses" in second.stderr
    assert sparkd.model("a").state == "ready"


def test_a_port_in_use_is_reported(build: Build) -> None:
    sparkd = build({"a": engine()})
    taken = sparkd.folder / "taken"
    taken.mkdir()
    other = SparkdProcess(
        taken, {"models": {"a": engine()}, "server": {"listen": f"127.0.0.1:{sparkd.port}"}}
    )
    command = [sys.executable, "-m", "sparkd", "--catalogue", str(other.catalogue)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert ran.returncode == 1
    assert f"127.0.0.1:{sparkd.port} is in use by another program" in ran.stderr


def test_an_invalid_catalogue_is_rejected_with_every_problem(build: Build) -> None:
    sparkd = build({"a": engine()})
    broken = sparkd.folder / "broken.toml"
    broken.write_text('[models.x]\nengine = "vlm"\nmemori = 3\n[queue]\nmax_wait = "long"\n')
    command = [sys.executable, "-m", "sparkd", "--catalogue", str(broken)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert ran.returncode == 78
    assert ran.stderr.count("broken.toml") >= 3
    assert "Traceback" not in ran.stderr


def test_logs_that_cannot_be_written_do_not_stop_a_model(build: Build, folder: Path) -> None:
    """The disk is full or read-only: the response matters more than the log."""
    (folder / "state").write_text("a file where a folder should be")
    sparkd = build({"a": engine("--say", "hello")})
    assert sparkd.chat("a").status_code == 200
    assert "its output is kept in memory only" in sparkd.log()
    assert "hello" in sparkd.sparkctl("logs", "a").stdout


def test_a_private_folder_that_cannot_be_created_is_reported(build: Build) -> None:
    sparkd = build({"a": engine()})
    engines = sparkd.folder / "run" / "engines"
    if engines.exists():
        engines.rmdir()
    engines.write_text("in the way")
    answer = sparkd.chat("a")
    assert answer.status_code == 503
    assert "private folder" in error(answer)["message"]
    engines.unlink()


def test_garbage_on_the_port_does_not_affect_other_clients(build: Build) -> None:
    sparkd = build({"a": engine()})
    for garbage in (
        b"\x00\xff" * 500,
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\n" + b"x" * 70000,
    ):
        with socket.create_connection(("127.0.0.1", sparkd.port), timeout=60) as sock:
            sock.sendall(garbage)
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(65536):
                pass
    assert sparkd.chat("a").status_code == 200


def test_a_hundred_clients_that_disconnect_in_the_queue_leave_nothing(build: Build, folder: Path) -> None:
    gate = folder / "gate"
    sparkd = build({"a": engine("--start-gate", str(gate))})
    with ExitStack() as clients:
        for _ in range(100):
            clients.enter_context(sparkd.waiting_client("a"))
        wait_until("all of them wait", lambda: sparkd.status().queue.waiting == 100)
    wait_until("the queue is empty", lambda: sparkd.status().queue.waiting == 0)
    gate.touch()
    sparkd.until("a", "ready")
    assert sparkd.chat("a").status_code == 200


def test_a_wedged_engine_is_terminated_and_its_clients_get_an_error(build: Build) -> None:
    stuck = engine("--stall-at-chunk", "1", "--counters", "still", stop_grace=0.2)
    sparkd = build({"a": stuck}, failures={"liveness": 0.1, "backoff": 60.0, "backoff_max": 60.0})
    with sparkd.streaming("a") as lines:
        received = list(lines)
    assert received[-1] == "data: [DONE]"
    assert "engine_failed" in received[-2]
    answer = sparkd.chat("a")
    assert answer.status_code == 503
    assert "its engine stopped making progress on its requests" in error(answer)["message"]


def test_a_slow_engine_that_makes_progress_is_left_alone(build: Build) -> None:
    sparkd = build({"a": engine("--pace", "0.5", "--counters", "working")}, failures={"liveness": 0.1})
    assert sparkd.chat("a").status_code == 200
    assert sparkd.model("a").state == "ready"

"""Engines that have failed although their main process still runs: sparkd ends them at once, and reports the cause."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Build
from tests.e2e.sparkd_process import SparkdProcess, engine, wait_until, watched_pids
from tests.e2e.test_sglang import new_sparkd

SCHEDULER_KILLED = 'Model "small" failed: SGLang\'s scheduler was killed (SIGKILL).'

BuildSglang = Callable[..., SparkdProcess]


@pytest.fixture
def build_sglang(folder: Path) -> Iterator[BuildSglang]:
    """Start a sparkd with one model, whose engine looks like SGLang and gets these options."""
    built: list[SparkdProcess] = []

    def start(*, liveness: float = 15.0, **options: object) -> SparkdProcess:
        options = {"journal": str(folder / "events"), **options}
        sparkd = new_sparkd(folder, {"failures": {"liveness": liveness}}, options=options)
        sparkd.start()
        built.append(sparkd)
        return sparkd

    yield start
    for sparkd in built:
        assert sparkd.stop() == 0, sparkd.log()
        sparkd.assert_nothing_left()


def find_vital(sparkd: SparkdProcess) -> int:
    """Return the PID of the engine's scheduler, once sparkd watches it."""

    def find() -> int | None:
        pids = {event["pid"] for event in sparkd.journal() if event["event"] == "vital"}
        return next(iter(pids & watched_pids(sparkd)), None)

    pid: int = wait_until("sparkd watches the scheduler", find)
    return pid


def test_a_vital_process_that_dies_mid_stream_ends_the_stream_with_the_cause(
    build_sglang: BuildSglang, folder: Path
) -> None:
    gate = str(folder / "gate")
    sparkd = build_sglang(**{"vital": "sglang::schedul", "chunk-gate": gate})
    with sparkd.streaming("small") as lines:
        next(lines)
        os.kill(find_vital(sparkd), signal.SIGKILL)
        received = list(lines)
    assert received[-1] == "data: [DONE]"
    error = json.loads(received[-2].removeprefix("data: "))["error"]
    assert error["code"] == "engine_failed"
    assert error["message"].startswith(SCHEDULER_KILLED)
    sparkd.until("small", "backoff")
    assert SCHEDULER_KILLED in sparkd.log()


def test_a_vital_process_that_dies_while_idle_fails_the_model(build_sglang: BuildSglang) -> None:
    sparkd = build_sglang(vital="sglang::schedul")
    assert sparkd.chat("small").status_code == 200
    os.kill(find_vital(sparkd), signal.SIGKILL)
    sparkd.until("small", "backoff")
    assert "SGLang's scheduler was killed (SIGKILL)" in (sparkd.model("small").cause or "")


def test_a_vital_process_that_dies_during_the_start_ends_the_start(
    build_sglang: BuildSglang, folder: Path
) -> None:
    sparkd = build_sglang(**{"vital": "sglang::schedul", "start-gate": str(folder / "gate")})
    with sparkd.waiting_client("small"):
        os.kill(find_vital(sparkd), signal.SIGKILL)
        sparkd.until("small", "backoff")
    assert "SGLang's scheduler was killed (SIGKILL)" in (sparkd.model("small").cause or "")


def test_the_next_sparkd_watches_them_too(build_sglang: BuildSglang) -> None:
    sparkd = build_sglang(vital="sglang::schedul")
    assert sparkd.chat("small").status_code == 200
    find_vital(sparkd)
    assert sparkd.sparkctl("reexec").returncode == 0
    os.kill(find_vital(sparkd), signal.SIGKILL)
    sparkd.until("small", "backoff")
    assert "SGLang's scheduler was killed (SIGKILL)" in (sparkd.model("small").cause or "")


def test_a_vital_process_that_ends_because_the_model_is_stopped_is_no_failure(
    build_sglang: BuildSglang,
) -> None:
    sparkd = build_sglang(vital="sglang::schedul")
    assert sparkd.chat("small").status_code == 200
    find_vital(sparkd)
    assert sparkd.sparkctl("stop", "small").returncode == 0
    assert sparkd.model("small").state == "stopped"
    assert sparkd.model("small").cause is None
    assert "SIGKILL" not in sparkd.log()


def test_a_health_path_that_only_answers_errors_ends_the_start(
    build_sglang: BuildSglang, folder: Path
) -> None:
    (folder / "sick").touch()
    answer = build_sglang(sick=str(folder / "sick")).chat("small")
    assert answer.status_code == 503
    message = answer.json()["error"]["message"]
    assert (
        "its health path /health answers with status 500: the database is unreachable. For details" in message
    )


def test_a_health_path_that_only_answers_errors_ends_an_engine_in_use(
    build_sglang: BuildSglang, folder: Path
) -> None:
    sick = folder / "sick"
    sparkd = build_sglang(**{"sick": str(sick), "chunk-gate": str(folder / "gate")}, liveness=0.1)
    with sparkd.streaming("small") as lines:
        next(lines)
        sick.touch()
        received = list(lines)
    assert "its health path /health answers with status 500: the database is unreachable." in received[-2]
    sparkd.until("small", "backoff")


@pytest.mark.slow
def test_a_start_that_logs_one_error_again_and_again_ends(build: Build) -> None:
    sparkd = build({"a": engine("--traceback-every", "4")})
    answer = sparkd.chat("a")
    assert answer.status_code == 503
    message = answer.json()["error"]["message"]
    assert "ConnectionError: attempt 6 to reach the cache failed" in message

"""Clients that get heartbeats from a real sparkd when it stops, is replaced, or has an engine that hangs."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.e2e.conftest import Build
from tests.e2e.sparkd_process import SparkdProcess, engine
from tests.e2e.test_reload import text

HEARTBEAT = {"after": 0.1, "interval": 0.1}
BODY = {"model": "a", "stream": True, "messages": [{"role": "user", "content": "one two three"}]}


@contextmanager
def stream(sparkd: SparkdProcess) -> Iterator[Iterator[str]]:
    """Yield the data of the events of a streamed chat."""
    with httpx.stream("POST", f"{sparkd.url}/v1/chat/completions", json=BODY, timeout=60) as response:
        assert response.status_code == 200
        yield (line[6:] for line in response.iter_lines() if line.startswith("data: "))


def delta(data: str) -> dict[str, Any]:
    """The delta of a chunk."""
    found: dict[str, Any] = json.loads(data)["choices"][0]["delta"]
    return found


def read_error(events: Iterator[str]) -> dict[str, Any]:
    """The error that ends a stream of heartbeats."""
    *beats, last = events
    assert all(delta(beat) == {"content": ""} for beat in beats)
    error: dict[str, Any] = json.loads(last)["error"]
    return error


def loading(folder: Path) -> dict[str, Any]:
    """A model that loads until a file appears."""
    return engine("--start-gate", str(folder / "gate"), heartbeat="chunk")


def test_a_daemon_that_stops_ends_the_streams_of_those_who_wait(build: Build, folder: Path) -> None:
    sparkd = build({"a": loading(folder)}, heartbeat=HEARTBEAT)
    with stream(sparkd) as events:
        assert delta(next(events)) == {"role": "assistant", "content": ""}
        with ThreadPoolExecutor(1) as pool:
            stopping = pool.submit(sparkd.stop)
            assert read_error(events)["code"] == "shutting_down"
            assert stopping.result() == 0


def test_a_daemon_that_is_replaced_ends_them_with_the_time_to_retry(build: Build, folder: Path) -> None:
    sparkd = build({"a": loading(folder)}, heartbeat=HEARTBEAT, defaults={"drain_timeout": 1.0})
    with stream(sparkd) as events:
        next(events)
        with ThreadPoolExecutor(1) as pool:
            replacing = pool.submit(sparkd.sparkctl, "reexec")
            error = read_error(events)
            assert error["code"] == "shutting_down"
            assert "Try again in" in error["message"]
            assert replacing.result().returncode == 0
    (folder / "gate").touch()
    with stream(sparkd) as events:
        assert "three" in "".join(events)


def test_a_client_of_an_engine_that_hangs_gets_heartbeats_until_it_continues(build: Build) -> None:
    sparkd = build({"a": engine(heartbeat="chunk")}, heartbeat=HEARTBEAT)
    text(sparkd, "a")  # now it is ready, and sparkd has an idle connection to it
    pid = sparkd.model("a").pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        with stream(sparkd) as events:
            assert delta(next(events)) == {"role": "assistant", "content": ""}
            assert delta(next(events)) == {"content": ""}
            os.kill(pid, signal.SIGCONT)
            *rest, done = events
            assert done == "[DONE]"
            deltas = list(map(delta, rest))
            assert "".join(each.get("content") or "" for each in deltas).strip() == "one two three"
            assert not any("role" in each for each in deltas)
    finally:
        os.kill(pid, signal.SIGCONT)


def test_a_model_that_fails_after_a_heartbeat_is_an_error_in_the_stream(build: Build) -> None:
    failing = engine("--health", "never", "--exit-after", "0.5", heartbeat="chunk")
    sparkd = build({"a": failing}, heartbeat=HEARTBEAT, failures={"max_failures": 1})
    with stream(sparkd) as events:
        next(events)
        assert read_error(events)["code"] == "model_failed"
    assert sparkd.status().queue.waiting == 0

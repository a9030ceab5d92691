"""Measurements of a real sparkd: over a re-exec, a restart and a kill."""

from __future__ import annotations

import signal
from typing import Any

import httpx

from tests.e2e.conftest import Build
from tests.e2e.sparkd_process import SparkdProcess, engine, wait_until


def read(sparkd: SparkdProcess, path: str = "/measurements?span=120") -> Any:
    transport = httpx.HTTPTransport(uds=str(sparkd.folder / "run" / "control.sock"))
    with httpx.Client(transport=transport, base_url="http://localhost") as http:
        return http.get(path).json()


def known(sparkd: SparkdProcess) -> list[float]:
    """When memory was measured."""
    found = read(sparkd)
    return [at for at, value in zip(found["at"], found["available"], strict=True) if value is not None]


def test_measurements_continue_over_a_reexec_and_a_restart(build: Build) -> None:
    sparkd = build({"small": engine()})
    assert sparkd.chat("small", "word " * 50).status_code == 200
    wait_until("an interval is measured", lambda: sum(filter(None, read(sparkd)["tokens_out"])))
    before = known(sparkd)
    tokens = sum(filter(None, read(sparkd)["tokens_out"]))
    assert tokens == 10.0  # 50 in 5 seconds
    assert sparkd.sparkctl("reexec").returncode == 0, sparkd.log()
    wait_until("another interval is measured", lambda: len(known(sparkd)) > len(before))
    assert sum(filter(None, read(sparkd)["tokens_out"])) == tokens
    assert sparkd.stop() == 0
    sparkd.start()
    assert len(known(sparkd)) > len(before)
    day = read(sparkd, "/measurements/days")[-1]
    assert day["energy"] is None
    assert day["measured_seconds"] >= 60.0


def test_a_sparkd_that_was_killed_leaves_a_gap(build: Build) -> None:
    sparkd = build({"small": engine()})
    wait_until("an interval is measured", lambda: known(sparkd))
    sparkd.stop(signal.SIGKILL)
    sparkd.start()
    assert known(sparkd) == []
    wait_until("an interval is measured", lambda: known(sparkd))

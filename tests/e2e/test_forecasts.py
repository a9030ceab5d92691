"""Forecasts of a real vLLM's loads. Run with `-s` to see the figures.

Uses the `cpu` runtime and the demo's models, which scripts/test prepares.
"""

from __future__ import annotations

import signal
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from sparkd.scheduling.forecast import Forecast
from sparkd.scheduling.forecast_text import describe_forecast
from tests.e2e.sparkd_process import SparkdProcess
from tests.e2e.test_vllm import CLONE, vllm

POLL_INTERVAL = 0.1


@pytest.fixture
def sparkd() -> Iterator[SparkdProcess]:
    with tempfile.TemporaryDirectory(prefix="sparkd-vllm-") as folder:
        sparkd = SparkdProcess(
            Path(folder),
            {
                "memory": {"total": "20 GiB", "reserve": 0, "main_slots": 1},
                "paths": {"venvs": str(CLONE / "venvs"), "runtimes": str(CLONE / ".sparkd" / "runtimes")},
                "models": {"smol": vllm("SmolLM2-135M-Instruct"), "tiny": vllm("tiny-llama")},
            },
        )
        sparkd.start()
        try:
            yield sparkd
            assert sparkd.stop(seconds=120) == 0, sparkd.log()
            sparkd.assert_nothing_left()
        finally:
            if sparkd.process.poll() is None:
                sparkd.stop(signal.SIGKILL)


class Observation(NamedTuple):
    """A forecast while a model loaded, and what the list said about it. `at` is seconds of the steady clock."""

    at: float
    forecast: Forecast
    listed: dict[str, Any]


def observe_load(sparkd: SparkdProcess, name: str) -> tuple[list[Observation], float]:
    """Request the model; return the forecasts until it was ready, and when that was."""
    seen: list[Observation] = []
    with ThreadPoolExecutor(1) as pool, httpx.Client(base_url=sparkd.url, trust_env=False) as http:
        answer = pool.submit(sparkd.chat, name)
        while not answer.done():
            model, at = sparkd.model(name), time.monotonic()
            if model.state == "ready":
                break
            if model.forecast:
                listed = http.get(f"/v1/models/{name}").json()["status"]
                if listed["state"] == "loaded":  # since the forecast was read
                    break
                seen.append(Observation(at, model.forecast, listed))
            time.sleep(POLL_INTERVAL)
        ready_at = time.monotonic()
        assert answer.result().status_code == 200
    return seen, ready_at


def judge_load(sparkd: SparkdProcess, name: str) -> None:
    """Load the model; print what was forecast on the way, and what came true."""
    seen, ready_at = observe_load(sparkd, name)
    began = seen[0].at
    took = ready_at - began
    for share in (0.25, 0.5, 0.75):
        each = next(each for each in seen if each.at >= began + share * took)
        truth = ready_at - each.at
        print(f"at {share:.0%} of {took:.1f} s: {describe_forecast(each.forecast)} It took {truth:.1f} s.")
        assert each.forecast.stage == "loading"
        assert each.listed["state"] == "loading"
        assert each.listed["phase"]
        assert each.forecast.seconds is not None


def test_later_loads_are_forecast_in_seconds(sparkd: SparkdProcess) -> None:
    """How true they are is measured in simulated weeks: here, other programs decide how long a load takes."""
    first, _ = observe_load(sparkd, "smol")
    assert all(each.forecast.seconds is None for each in first)
    assert sparkd.stop(seconds=120) == 0
    sparkd.start()  # what was learned is in the history

    judge_load(sparkd, "smol")
    for _ in range(2):  # with a launcher
        assert sparkd.sparkctl("stop", "smol").returncode == 0
        judge_load(sparkd, "smol")


def test_a_model_that_was_never_loaded_is_estimated_by_its_size(sparkd: SparkdProcess) -> None:
    observe_load(sparkd, "smol")
    seen, ready_at = observe_load(sparkd, "tiny")
    assert seen[-1].forecast.seconds is not None
    print(f"{describe_forecast(seen[0].forecast)} It took {ready_at - seen[0].at:.1f} s.")

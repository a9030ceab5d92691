"""A real sparkd lists its requests in flight, and its owner cancels them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from sparkd.control.client import ControlClient
from sparkd.errors import DaemonError
from sparkd.usage.active import ActiveRequest
from tests.e2e.sparkd_process import SparkdProcess, engine, wait_until

Build = Callable[..., SparkdProcess]


@contextmanager
def controlling(sparkd: SparkdProcess) -> Iterator[ControlClient]:
    with ControlClient(sparkd.folder / "run" / "control.sock") as control:
        yield control


def wait_for(control: ControlClient, phase: str, count: int) -> list[ActiveRequest]:
    def find() -> list[ActiveRequest]:
        rows = control.active_requests()
        return rows if [row.phase for row in rows] == [phase] * count else []

    rows: list[ActiveRequest] = wait_until(f"{count} requests are {phase}", find)
    return rows


def read_stream(sparkd: SparkdProcess, name: str, model: str = "slow") -> str:
    """What a client gets of a stream that would last for minutes."""
    body: dict[str, Any] = {
        "model": model,
        "stream": True,
        "messages": [{"role": "user", "content": "hi"}],
        "bad": {"tokens": 3000, "pace": 0.1},
    }
    url = f"{sparkd.url}/v1/chat/completions"
    return httpx.post(url, json=body, headers={"x-request-id": name}, timeout=300).text


def test_streams_are_cancelled_and_their_engine_stops(build: Build) -> None:
    sparkd = build({"slow": engine("--journal", "events")})
    with controlling(sparkd) as control, ThreadPoolExecutor(20) as pool:
        texts = [pool.submit(read_stream, sparkd, f"r{number}") for number in range(20)]
        wait_for(control, "decoding", 20)
        wait_until("each shows its speed", lambda: all(row.speed for row in control.active_requests()))
        for number in range(20):
            [row] = control.cancel_request(f"r{number}")
            assert (row.model, row.client, row.endpoint) == ("slow", "anonymous", "/v1/chat/completions")
            assert row.tokens_out
        for text in texts:
            *_, error, done = text.result().strip().split("\n\n")
            assert json.loads(error.removeprefix("data: "))["error"]["code"] == "request_cancelled"
            assert done == "data: [DONE]"
        assert control.active_requests() == []
        wait_until("the model is idle", lambda: sparkd.model("slow").in_flight == 0)
        with pytest.raises(DaemonError, match="r3") as raised:
            control.cancel_request("r3")
        assert raised.value.code == "request_not_found"


def test_the_load_is_not_needed_any_more(build: Build) -> None:
    sparkd = build({"slow": engine("--start-delay", "600")})
    with controlling(sparkd) as control, ThreadPoolExecutor(1) as pool:
        text = pool.submit(read_stream, sparkd, "mine")
        [row] = wait_for(control, "loading", 1)
        assert row.began <= row.phase_since
        control.cancel_request("mine")
        assert json.loads(text.result())["error"]["code"] == "request_cancelled"
        assert sparkd.model("slow").waiting == 0
        sparkd.sparkctl("stop", "slow")

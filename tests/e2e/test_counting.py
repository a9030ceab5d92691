"""Counting tokens neither loads a model nor keeps a loaded one from being idle."""

from __future__ import annotations

import time

import httpx

from tests.e2e.conftest import Build
from tests.e2e.sparkd_process import engine

PROMPT = {"messages": [{"role": "user", "content": "The keeper climbed the stairs and cleaned the lamp."}]}


def test_a_count_starts_nothing_and_touches_no_idle_clock(build: Build) -> None:
    sparkd = build({"m": engine(idle_timeout=1000.0)})

    def count(path: str) -> httpx.Response:
        return httpx.post(f"{sparkd.url}{path}", json={"model": "m", **PROMPT})

    for path in ("/v1/messages/count_tokens", "/v1/m/messages/count_tokens"):
        answer = count(path)
        assert (answer.status_code, answer.headers["x-sparkd-estimate"]) == (200, "true")
        assert answer.json()["input_tokens"] > 10
    assert sparkd.model("m").state == "stopped"
    assert sparkd.chat("m").status_code == 200
    left = sparkd.model("m").idle_seconds_left
    assert left is not None
    time.sleep(0.3)
    assert count("/v1/messages/count_tokens").status_code == 200
    left_after = sparkd.model("m").idle_seconds_left
    assert left_after is not None
    assert left_after < left - 0.2

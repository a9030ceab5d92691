"""Models that clients load and unload over HTTP, and models that are loaded without a request."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import httpx

from tests.e2e.conftest import Build
from tests.e2e.sparkd_process import SparkdProcess, engine, wait_until


def post(sparkd: SparkdProcess, path: str, body: object) -> httpx.Response:
    return httpx.post(f"http://127.0.0.1:{sparkd.port}{path}", json=body, timeout=60)


def is_in_state(sparkd: SparkdProcess, model: str, state: str) -> bool:
    return sparkd.model(model).state == state


def test_a_model_is_loaded_and_unloaded_over_http(build: Build) -> None:
    sparkd = build({"a": engine("--start-delay", "0.3")})
    assert post(sparkd, "/models/load", {"model": "a"}).json()["success"] is True
    assert post(sparkd, "/models/load", {"model": "a", "wait": True}).json()["status"] == {"value": "loaded"}
    assert is_in_state(sparkd, "a", "ready")
    answer = post(sparkd, "/models/unload", {"model": "a"})
    assert answer.json()["message"] in ("It is being unloaded.", "It is unloaded.")
    wait_until("it is stopped", lambda: is_in_state(sparkd, "a", "stopped"))


def test_a_hundred_loads_and_unloads_at_once_end_in_order(build: Build) -> None:
    sparkd = build({"a": engine(), "b": engine()})

    def ask(number: int) -> int:
        path = ("/models/load", "/models/unload")[number % 2]
        return post(sparkd, path, {"model": "ab"[number // 2 % 2]}).status_code

    with ThreadPoolExecutor(20) as pool:
        assert set(pool.map(ask, range(100))) == {200}
    for model in "ab":
        assert sparkd.chat(model).status_code == 200
        post(sparkd, "/models/unload", {"model": model})
        wait_until("it is stopped", partial(is_in_state, sparkd, model, "stopped"))


def test_a_request_says_that_its_model_is_unloaded_after_it(build: Build) -> None:
    sparkd = build({"a": engine()})
    body = {"model": "a", "messages": [{"role": "user", "content": "hi"}], "ttl": 0}
    assert post(sparkd, "/v1/chat/completions", body).status_code == 200
    wait_until("it is stopped", lambda: is_in_state(sparkd, "a", "stopped"))
    assert 'Stopping model "a": its last client keeps it no longer' in sparkd.log()


def test_a_model_is_preloaded_and_returns_after_a_bigger_one_is_unloaded(build: Build) -> None:
    sparkd = build(
        {"small": engine(memory="6 GiB", preload=True, min_residency=0.0), "big": engine(memory="8 GiB")}
    )
    wait_until("it is preloaded", lambda: is_in_state(sparkd, "small", "ready"))
    assert sparkd.chat("big").status_code == 200
    assert is_in_state(sparkd, "small", "stopped")
    post(sparkd, "/models/unload", {"model": "big"})
    wait_until("it is preloaded again", lambda: is_in_state(sparkd, "small", "ready"))
    assert sparkd.sparkctl("stop", "small").returncode == 0
    assert sparkd.chat("big").status_code == 200
    assert is_in_state(sparkd, "small", "stopped"), "until it is requested"

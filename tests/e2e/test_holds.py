"""Holds with a real daemon and real processes."""

from __future__ import annotations

import json
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import Build
from tests.e2e.sparkd_process import SparkdProcess, engine, wait_until
from tests.e2e.test_reexec import replace


def post(sparkd: SparkdProcess, path: str, **body: Any) -> httpx.Response:
    return httpx.post(f"{sparkd.url}{path}", json=body, timeout=120)


def big(**fields: Any) -> dict[str, Any]:
    """A model beside which no other one fits."""
    return engine(memory="6 GiB", **fields)


def test_a_hold_with_sparkctl(build: Build) -> None:
    sparkd = build({"a": big(), "b": big()}, queue={"max_hold": 7200})
    done = sparkd.sparkctl("hold", "a", "--for", "1h", "--job", "a demo", "--reason", "guests")
    assert done.returncode == 0, done.stderr
    sparkd.until("a", "ready")
    (hold,) = json.loads(sparkd.sparkctl("--json", "holds").stdout)
    assert (hold["model"], hold["job"], hold["reason"]) == ("a", "a demo", "guests")
    assert "guests" in sparkd.sparkctl("holds").stdout
    assert "held " in sparkd.sparkctl("status").stdout
    blocked = sparkd.chat("b")
    assert (blocked.status_code, blocked.json()["error"]["code"]) == (503, "model_held")
    assert int(blocked.headers["retry-after"]) <= 60
    assert "for a demo: guests" in blocked.json()["error"]["message"]
    for command in (("hold", "b", "--for", "10m"), ("stop", "a"), ("hold", "a", "--for", "3h")):
        refused = sparkd.sparkctl(*command)
        assert refused.returncode != 0
    assert sparkd.sparkctl("release", hold["id"]).returncode == 0
    assert sparkd.sparkctl("holds").stdout == "No model is held.\n"
    assert sparkd.chat("b").status_code == 200


@pytest.mark.parametrize("how", ["restart", "kill", "reexec"])
def test_a_hold_outlives_the_daemon(build: Build, how: str) -> None:
    sparkd = build({"a": big(), "b": big()})
    hold = post(sparkd, "/models/hold", model="a", **{"for": "1h"}).json()
    sparkd.until("a", "ready")
    if how == "reexec":
        replace(sparkd)
        assert sparkd.log().count("Starting model") == 1
    else:
        sparkd.stop(signal.SIGKILL if how == "kill" else signal.SIGTERM)
        sparkd.start()
    sparkd.until("a", "ready")
    (held,) = httpx.get(f"{sparkd.url}/models/holds").json()["data"]
    assert held["id"] == hold["id"]
    assert abs(held["seconds_left"] - hold["seconds_left"]) < 120
    assert sparkd.chat("b").json()["error"]["code"] == "model_held"
    assert httpx.delete(f"{sparkd.url}/models/holds/{hold['id']}").status_code == 200
    assert sparkd.chat("b").status_code == 200


def test_a_damaged_file_of_holds_is_logged_and_forgotten(build: Build, folder: Path) -> None:
    sparkd = build({"a": engine()})
    post(sparkd, "/models/hold", model="a", **{"for": "1h"})
    sparkd.until("a", "ready")
    sparkd.stop()
    (folder / "state" / "holds.json").write_bytes(b'[{"id": "x", "mod')
    sparkd.start()
    assert httpx.get(f"{sparkd.url}/models/holds").json()["data"] == []
    assert "holds are forgotten" in sparkd.log()


def test_a_held_model_that_crashes_is_loaded_again(build: Build) -> None:
    sparkd = build({"a": engine()}, failures={"backoff": 0.1})
    post(sparkd, "/models/hold", model="a", **{"for": "1h"})
    first = sparkd.until("a", "ready").pid
    assert first is not None
    for process in sparkd.processes():
        process.kill()

    def is_back() -> bool:
        now = sparkd.model("a")
        return now.state == "ready" and now.pid != first

    wait_until("it is loaded again", is_back)


def test_a_hundred_loads_and_unloads_at_once_leave_a_daemon_that_serves(build: Build) -> None:
    sparkd = build({"a": engine(), "b": engine(), "c": big()})
    names = ["a", "b", "c"]

    def one(number: int) -> int:
        path = "/models/load" if number % 2 else "/models/unload"
        return post(sparkd, path, model=names[number % 3], wait=number % 5 == 0).status_code

    with ThreadPoolExecutor(20) as pool:
        statuses = list(pool.map(one, range(100)))
    assert set(statuses) <= {200}
    for name in names:
        assert sparkd.chat(name).status_code == 200
    assert "Bug in sparkd" not in sparkd.log()
    assert "Traceback" not in sparkd.log()


def test_a_request_in_ollamas_api_does_not_unload_a_held_model(build: Build) -> None:
    sparkd = build({"a": engine()})
    hold = post(sparkd, "/models/hold", model="a", **{"for": "1h"}).json()
    chat = {"model": "a", "messages": [{"role": "user", "content": "hi"}], "keep_alive": 0, "stream": False}
    with httpx.Client(base_url=sparkd.url, timeout=60) as client:
        for _ in range(3):  # on one connection: what follows a response must not break it
            assert client.post("/api/chat", json=chat).json()["message"]["content"] == "hi "
    refused = post(sparkd, "/api/generate", model="a", keep_alive=0)
    assert (refused.status_code, hold["id"] in refused.json()["error"]) == (409, True)
    assert sparkd.model("a").state == "ready"
    assert "Traceback" not in sparkd.log()

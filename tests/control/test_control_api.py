"""The control API over its Unix socket, as a plain HTTP client sees it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from sparkd.errors import Holder, ModelBusy, ModelFailed, QueueFull
from sparkd.processes.log import MAX_FOLLOWER_LINES
from tests.control.fake_supervisor import FakeDaemon, serve_fake_daemon, wait_until


@pytest.fixture
def served(tmp_path: Path) -> Iterator[FakeDaemon]:
    with serve_fake_daemon(tmp_path) as served:
        yield served


@pytest.fixture
def http(served: FakeDaemon) -> Iterator[httpx.Client]:
    transport = httpx.HTTPTransport(uds=str(served.socket))
    with httpx.Client(transport=transport, base_url="http://sparkd", trust_env=False, timeout=30) as client:
        yield client


def read_error(answer: httpx.Response) -> dict[str, str]:
    error = answer.json()["error"]
    assert set(error) >= {"message", "type", "code", "param"}
    assert answer.headers["content-type"] == "application/json"
    return dict(error)


def test_status_tells_the_machine_the_queue_and_every_model(http: httpx.Client) -> None:
    status = http.get("/status").json()
    assert status["listen"] == ["127.0.0.1:8009"]
    assert status["queue"] == {"waiting": 0, "max_length": 1024, "on_busy": "wait"}
    assert [model["id"] for model in status["models"]] == ["qwen", "tiny", "old"]
    assert set(status["models"][0]) == {
        "id", "state", "quarantined", "state_seconds", "in_flight", "waiting",
        "idle_seconds_left", "footprint", "basis", "pid", "declared", "learned",
        "memory_used", "host_memory", "host_memory_peak", "last_run",
        "phase", "progress", "download_seconds_left", "start", "cold_reason", "cause", "retry_after", "load_time",
        "lifecycle", "pinned", "enabled", "rejected_requests", "forecast", "holds",
    }  # fmt: skip


def test_a_model_answers_to_its_id_and_its_aliases(http: httpx.Client) -> None:
    for name in ("qwen", "coder", "Qwen/Qwen3", "Qwen%2FQwen3"):
        assert http.get(f"/models/{name}").json()["id"] == "qwen"


def test_load_answers_when_the_model_is_ready_and_stop_when_it_is_stopped(http: httpx.Client) -> None:
    loaded = http.post("/models/Qwen/Qwen3/load")
    assert (loaded.status_code, loaded.json()["state"]) == (200, "ready")
    stopped = http.post("/models/coder/stop")
    assert (stopped.status_code, stopped.json()["state"]) == (200, "stopped")


def test_retry_lifts_a_quarantine(served: FakeDaemon, http: httpx.Client) -> None:
    served.supervisor.set("tiny", state="backoff", quarantined=True, cause="It crashed.")
    answer = http.post("/models/tiny/retry").json()
    assert (answer["state"], answer["quarantined"]) == ("stopped", False)


def test_an_unknown_model_is_404_and_the_nearest_is_named(http: httpx.Client) -> None:
    for method, path in (("GET", ""), ("POST", "/load"), ("POST", "/stop"), ("GET", "/logs")):
        answer = http.request(method, f"/models/qwem{path}")
        assert answer.status_code == 404
        assert read_error(answer)["code"] == "model_not_found"
        assert "qwen" in read_error(answer)["message"]


def test_a_disabled_model_is_not_loaded_and_the_reason_is_told(http: httpx.Client) -> None:
    answer = http.post("/models/old/load")
    assert answer.status_code == 403
    assert read_error(answer)["code"] == "model_disabled"
    assert "its license ran out" in read_error(answer)["message"]


def test_a_refused_load_says_why_and_when_to_come_back(served: FakeDaemon, http: httpx.Client) -> None:
    served.supervisor.refusals["tiny"] = QueueFull(
        "1024 requests are waiting already, which is the limit.", retry_after=2.1
    )
    answer = http.post("/models/tiny/load")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "3")
    assert read_error(answer)["code"] == "queue_full"


def test_a_refusal_without_a_known_end_has_no_retry_after(served: FakeDaemon, http: httpx.Client) -> None:
    served.supervisor.refusals["tiny"] = ModelFailed("tiny is quarantined")
    answer = http.post("/models/tiny/load")
    assert answer.status_code == 503
    assert "retry-after" not in answer.headers


def test_a_busy_machine_is_told_in_the_same_shape_as_everything_else(
    served: FakeDaemon, http: httpx.Client
) -> None:
    holder = Holder(model="qwen", state="ready", uptime=60.0, idle=0.0, release=None, auto_stop=False)
    served.supervisor.refusals["tiny"] = ModelBusy(
        "the machine is in use by qwen", retry_after=9, holders=(holder,)
    )
    answer = http.post("/models/tiny/load")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "9")
    assert read_error(answer)["code"] == "model_busy"


def test_a_client_that_leaves_during_load_is_taken_out_of_the_queue(served: FakeDaemon) -> None:
    supervisor = served.supervisor
    supervisor.loading.clear()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(served.socket))
        connection.sendall(b"POST /models/qwen/load HTTP/1.1\r\nhost: sparkd\r\ncontent-length: 0\r\n\r\n")
        wait_until(lambda: supervisor.waiting == ["qwen"])
    wait_until(lambda: supervisor.waiting == [])
    assert supervisor.models["qwen"].state == "stopped"


def test_a_bug_of_ours_is_500_in_the_shape_of_every_other_error(
    served: FakeDaemon, http: httpx.Client
) -> None:
    served.supervisor.refusals["tiny"] = ZeroDivisionError("division by zero")
    # The server hangs up after such an answer, and a client that has not seen it yet would ask into nothing.
    answer = http.post("/models/tiny/load", headers={"connection": "close"})
    assert (answer.status_code, read_error(answer)["code"]) == (500, "internal_error")
    assert http.get("/status").status_code == 200


def test_paths_and_methods_that_do_not_exist_are_answered_in_the_same_shape(http: httpx.Client) -> None:
    missing = http.get("/modells")
    assert (missing.status_code, read_error(missing)["code"]) == (404, "path_not_found")
    assert http.get("/models/qwen/load").status_code == 404  # a GET never starts anything
    wrong = http.put("/models/qwen/load")
    assert (wrong.status_code, read_error(wrong)["code"]) == (405, "method_not_allowed")
    assert wrong.headers["allow"] == "POST"
    assert http.get("/models/qwen").json()["state"] == "stopped"


def test_logs_are_the_last_lines_as_text(served: FakeDaemon, http: httpx.Client) -> None:
    served.write_log("qwen", *(f"line {number} ✓" for number in range(300)))
    answer = http.get("/models/qwen/logs", params={"lines": 2})
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.text == "line 298 ✓\nline 299 ✓\n"
    assert len(http.get("/models/qwen/logs").text.splitlines()) == 200
    assert http.get("/models/qwen/logs", params={"lines": 0}).text == ""


def test_a_model_that_has_not_run_has_no_log_and_that_is_said(http: httpx.Client) -> None:
    answer = http.get("/models/qwen/logs")
    assert (answer.status_code, read_error(answer)["code"]) == (404, "log_not_found")


@pytest.mark.parametrize("query", [{"lines": "many"}, {"lines": "-1"}, {"lines": "٣"}, {"follow": "perhaps"}])
def test_a_log_query_that_cannot_be_understood_is_400(http: httpx.Client, query: dict[str, str]) -> None:
    answer = http.get("/models/qwen/logs", params=query)
    assert (answer.status_code, read_error(answer)["param"]) == (400, next(iter(query)))


def test_following_a_log_gives_each_line_as_it_comes_and_ends_with_the_process(
    served: FakeDaemon, http: httpx.Client
) -> None:
    served.write_log("qwen", "one", "two", "three")
    with http.stream("GET", "/models/qwen/logs", params={"follow": "1", "lines": "1"}) as answer:
        lines = answer.iter_lines()
        assert next(lines) == "three"
        served.write_log("qwen", "four")
        assert next(lines) == "four"
        served.end_process("qwen")
        assert list(lines) == []


def test_following_the_log_of_an_ended_process_gives_its_end(served: FakeDaemon, http: httpx.Client) -> None:
    served.write_log("qwen", "last words")
    served.end_process("qwen")
    assert http.get("/models/qwen/logs", params={"follow": "1"}).text == "last words\n"


def test_a_follower_that_leaves_while_the_log_is_silent_is_forgotten(served: FakeDaemon) -> None:
    served.write_log("qwen", "one")
    log = served.supervisor.logs["qwen"]
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(served.socket))
        connection.sendall(b"GET /models/qwen/logs?follow=1 HTTP/1.1\r\nhost: sparkd\r\n\r\n")
        wait_until(lambda: len(log._followers) == 1)
    wait_until(lambda: not log._followers)


def test_a_follower_that_reads_too_slowly_is_told_how_many_lines_it_lost(
    served: FakeDaemon, http: httpx.Client
) -> None:
    served.write_log("qwen", "first")
    with http.stream("GET", "/models/qwen/logs", params={"follow": "1"}) as answer:
        lines = answer.iter_lines()
        assert next(lines) == "first"
        long = "x" * 700  # more than the socket's buffers hold, so that the follower falls behind
        for _ in range(4):
            served.write_log("qwen", *[long] * MAX_FOLLOWER_LINES)
        served.end_process("qwen")
        rest = list(lines)
    notes = [line for line in rest if line != long]
    assert len(notes) == 1
    lost = int(notes[0].removeprefix("[sparkd: ").removesuffix(" lines dropped]"))
    assert lost + len(rest) - 1 == 4 * MAX_FOLLOWER_LINES

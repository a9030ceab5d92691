"""A request that makes its engine fail is found and rejected; the model goes on serving its other clients."""

from __future__ import annotations

import json
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import openai
import pytest

from sparkd.scheduling.status import ModelStatus
from tests.e2e.conftest import Build
from tests.e2e.sparkd_process import SparkdProcess, engine, wait_until

POISON = "boom"
FAST = {"failures": {"backoff": 0.2, "backoff_max": 1.0, "max_failures": 4}}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}


def code_of(answer: httpx.Response) -> str:
    """The code of an error in OpenAI's shape."""
    return str(answer.json()["error"]["code"])


def send(sparkd: SparkdProcess, text: str = POISON, **fields: Any) -> httpx.Response:
    """Send a request once the model may start."""
    wait_until("the model may start", lambda: sparkd.model("a").state in ("stopped", "ready"))
    return sparkd.chat("a", text, **fields)


def crash_twice(sparkd: SparkdProcess) -> None:
    """Have the poisoned request convicted."""
    assert [send(sparkd).status_code for _ in range(2)] == [502, 502]


def test_five_attempts_of_an_sdk_end_the_engine_twice_while_others_chat(build: Build) -> None:
    sparkd = build({"a": engine("--poison", POISON)}, **FAST)
    stop = threading.Event()
    answered: list[str] = []

    def chat() -> None:
        with sparkd.openai(max_retries=10) as client:
            while not stop.is_set():
                messages: Any = [{"role": "user", "content": f"hello {len(answered)}"}]
                reply = client.chat.completions.create(model="a", messages=messages)
                answered.append(reply.choices[0].message.content or "")

    with ThreadPoolExecutor(3) as others:
        running = [others.submit(chat) for _ in range(3)]
        wait_until("the others chat", lambda: len(answered) > 20)
        with sparkd.openai(max_retries=5) as client, pytest.raises(openai.BadRequestError) as error:
            client.chat.completions.create(model="a", messages=[{"role": "user", "content": POISON}])
        seen = len(answered)
        wait_until("the others go on", lambda: len(answered) > seen + 20)
        stop.set()
        for each in running:
            each.result()
    assert error.value.code == "request_crashes_engine"
    assert "sparkctl retry a" in error.value.message
    (rejected,) = sparkd.model("a").rejected_requests
    assert (rejected.level, rejected.crashes, rejected.rejected) == ("exact", 2, 1)
    assert not sparkd.model("a").quarantined
    assert "made model" in sparkd.log()


@pytest.mark.parametrize("stream", [False, True])
def test_after_the_second_failure_the_model_starts_again_at_once(build: Build, stream: bool) -> None:
    """A request that arrives while the engine's memory is reclaimed waits, and is answered."""
    sparkd = build(
        {"a": engine("--poison", POISON)}, failures={"backoff": 1.0, "backoff_max": 100.0, "max_failures": 2}
    )
    assert [send(sparkd, stream=stream).status_code for _ in range(2)] == [502, 502]
    assert sparkd.chat("a").status_code == 200
    answer = sparkd.chat("a", POISON, stream=stream)
    assert answer.status_code == 400
    assert code_of(answer) == "request_crashes_engine"
    assert "retry-after" not in answer.headers


def test_the_error_has_the_shape_of_each_api_and_starts_nothing(build: Build) -> None:
    sparkd = build({"a": engine("--poison", POISON)}, **FAST)
    body = {"model": "a", "max_tokens": 5, "messages": [{"role": "user", "content": POISON}]}
    for path, fields in (("messages", {}), ("responses", {"input": POISON})):
        answers = []
        for _ in range(3):
            wait_until("the model may start", lambda: sparkd.model("a").state in ("stopped", "ready"))
            answers.append(httpx.post(f"{sparkd.url}/v1/{path}", json=body | fields, timeout=60))
        assert [answer.status_code for answer in answers] == [502, 502, 400]
        assert code_of(answers[2]) == "request_crashes_engine"
        kind = answers[2].json().get("type")
        assert kind == ("error" if path == "messages" else None)
        sparkd.until("a", "stopped")


def test_a_request_in_flight_when_someone_kills_the_engine_is_not_rejected(build: Build) -> None:
    sparkd = build({"a": engine("--pace", "0.3")}, **FAST)
    with ThreadPoolExecutor(1) as client:
        waiting = client.submit(sparkd.chat, "a", "one two three four five six")
        wait_until("it is in flight", lambda: sparkd.model("a").in_flight)
        os.kill(sparkd.model("a").pid or 0, signal.SIGKILL)
        assert waiting.result().status_code == 502
    assert send(sparkd, "one two three four five six").status_code == 200
    assert sparkd.model("a").rejected_requests == ()


def test_an_engine_that_answers_errors_before_it_exits(build: Build) -> None:
    """So does vLLM: its API server reports the end of the engine core to all clients, then it exits."""
    sparkd = build({"a": engine("--poison", POISON, "--poison-delay", "0.3")}, **FAST)
    sparkd.chat("a")
    for _ in range(2):
        assert send(sparkd).status_code == 500
        wait_until("the engine has ended", lambda: sparkd.model("a").state != "ready")
    assert code_of(send(sparkd)) == "request_crashes_engine"
    assert send(sparkd, "hello").status_code == 200


def test_another_wording_of_the_same_shape_is_rejected_too(build: Build) -> None:
    sparkd = build({"a": engine("--poison", "json_schema")}, **FAST)
    for text in ("one", "two", "six"):
        assert send(sparkd, text, response_format=SCHEMA).status_code == 502
    answer = send(sparkd, "ten", response_format=SCHEMA)
    assert code_of(answer) == "request_crashes_engine"
    assert "the same `response_format`" in answer.json()["error"]["message"]
    assert answer.json()["error"]["param"] == "response_format"
    assert send(sparkd, "ten").status_code == 200
    (rejected,) = sparkd.model("a").rejected_requests
    assert (rejected.level, rejected.fields) == ("shape", ("response_format",))


def test_the_owner_sees_it_and_has_it_accepted_again(build: Build) -> None:
    sparkd = build({"a": engine("--poison", POISON)}, **FAST)
    crash_twice(sparkd)
    assert send(sparkd).status_code == 400
    shown = " ".join(sparkd.sparkctl("status").stdout.split())
    assert "made the engine fail 2 times; its repetitions are rejected for another" in shown
    assert "`sparkctl retry a` has them accepted" in shown
    assert "rejected requests" in sparkd.sparkctl("doctor").stdout
    assert sparkd.sparkctl("retry", "a").returncode == 0
    assert sparkd.model("a").rejected_requests == ()
    assert send(sparkd).status_code == 502


def test_a_reload_that_changes_the_model_has_it_accepted_again(build: Build) -> None:
    sparkd = build({"a": engine("--poison", POISON)}, **FAST)
    crash_twice(sparkd)
    sparkd.catalogue.write_text(sparkd.catalogue.read_text() + "\n[queue]\nmax_length = 7\n")
    assert sparkd.sparkctl("reload").returncode == 0
    assert send(sparkd).status_code == 400
    sparkd.catalogue.write_text(sparkd.catalogue.read_text().replace("1 GiB", "2 GiB"))
    assert sparkd.sparkctl("reload").returncode == 0
    assert send(sparkd).status_code == 502


def may_start(model: ModelStatus) -> str | None:
    """Return what the model's last failure led to; None as long as it is in backoff."""
    return "quarantined" if model.quarantined else "stopped" if model.state == "stopped" else None


def test_an_engine_that_fails_at_every_request_gets_into_quarantine(build: Build) -> None:
    """Then it is not the request: the model must not be started for ever."""
    sparkd = build({"a": engine("--poison", "messages")}, **FAST)
    for number in range(20):
        state = wait_until("the model may start", lambda: may_start(sparkd.model("a")))
        if state == "quarantined":
            return
        for _ in range(2):
            sparkd.chat("a", f"text {number}")
    pytest.fail("the model was started again and again")


def test_a_hundred_at_once_and_one_that_ends_the_engine(build: Build) -> None:
    sparkd = build({"a": engine("--poison", POISON, "--think", "0.1")}, **FAST)
    sparkd.chat("a")

    def chat(text: str) -> str | None:
        with sparkd.openai(max_retries=20) as client:
            try:
                reply = client.chat.completions.create(
                    model="a", messages=[{"role": "user", "content": text}]
                )
            except openai.BadRequestError as error:
                return error.code
            return reply.choices[0].message.content

    texts = [f"chat {number}" for number in range(100)]
    with ThreadPoolExecutor(101) as clients:
        answers = list(clients.map(chat, [*texts[:50], POISON, *texts[50:]]))
    assert answers.pop(50) == "request_crashes_engine"
    assert [(answer or "").strip() for answer in answers] == texts
    assert len(sparkd.model("a").rejected_requests) == 1


def test_clients_that_repeat_their_requests_together_with_it_are_answered(build: Build) -> None:
    """All are in flight at each failure, unless sparkd repeats them one after the other."""
    sparkd = build({"a": engine("--poison", POISON, "--think", "0.3", "--start-delay", "0.3")}, **FAST)
    sparkd.chat("a")

    def repeat(text: str) -> httpx.Response:
        while (answer := send(sparkd, text)).status_code in (502, 503):
            continue
        return answer

    with ThreadPoolExecutor(4) as clients:
        answers = list(clients.map(repeat, ["one", "two", "six", POISON]))
    assert [answer.status_code for answer in answers] == [200, 200, 200, 400]
    (rejected,) = sparkd.model("a").rejected_requests
    assert rejected.crashes == 2


def test_a_request_that_stalls_its_engine_is_rejected(build: Build) -> None:
    stuck = engine("--counters", "still", stop_grace=0.2)
    sparkd = build({"a": stuck}, failures={"liveness": 0.1, "backoff": 0.2, "backoff_max": 1.0})
    stalls: dict[str, Any] = {"bad": {"stall_at_chunk": 0}}
    for _ in range(2):
        assert send(sparkd, **stalls).status_code == 502
    assert code_of(send(sparkd, **stalls)) == "request_crashes_engine"
    assert json.loads(sparkd.sparkctl("status", "a", "--json").stdout)["rejected_requests"][0]["crashes"] == 2

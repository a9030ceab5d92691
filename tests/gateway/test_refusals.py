"""What is refused before anything is started, and how that reads."""

from __future__ import annotations

import json

import pytest

from sparkd.catalog.settings import Server, Settings
from sparkd.errors import Holder, ModelBusy, ModelFailed, QueueFull, Refusal
from tests.gateway.engines import Answer, request
from tests.gateway.gateways import catalogue, house, model, run


def refused(raw: bytes) -> Answer:
    """The answer to a request that must not start anything."""
    answers: list[Answer] = []

    async def test() -> None:
        models = catalogue(
            model("m", aliases=("alias",)), model("off", status="disabled", reason="it crashes")
        )
        async with house(models=models) as here:
            answers.append(await here.ask(raw))
            assert here.supervisor.asked == []
            assert here.engine.connections == 0

    run(test)
    return answers[0]


@pytest.mark.parametrize(
    ("raw", "status", "code"),
    [
        (request(b'{"model":"nosuch"}'), 404, "model_not_found"),
        (request(b"{}", "/v1/nosuch/chat/completions"), 404, "model_not_found"),
        (request(b"{}", "/v1/chat/completions?model=nosuch"), 404, "model_not_found"),
        (request(b'{"model":"off"}'), 403, "model_disabled"),
        (request(b"{}", "/v1/off/chat/completions"), 403, "model_disabled"),
        (request(b"{}"), 400, "invalid_request"),
        (request(b'{"model":null}'), 400, "invalid_request"),
        (request(b'{"model":""}'), 400, "invalid_request"),
        (request(b'{"model":7}'), 400, "invalid_request"),
        (request(b"[1]"), 400, "invalid_request"),
        (request(b"{nonsense"), 400, "invalid_request"),
        (request(b'{"model":"\xff"}'), 400, "invalid_request"),
        (request(b'{"a":' * 5000), 400, "invalid_request"),
        (request(b'{"model":"m"}', extra="content-encoding: gzip\r\n"), 400, "invalid_request"),
        (request(b"", "/v1/responses/r1", "GET"), 400, "invalid_request"),
        (request(b"", "/v1/m/chat/completions"), 400, "invalid_request"),
        (request(b"", "/v1/responses?model=m"), 400, "invalid_request"),
        (request(b"", "/v1/m/audio/transcriptions"), 400, "invalid_request"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "invalid_request"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, "invalid_request"),
        (request(b"{}", "/v1/models"), 405, "method_not_allowed"),
        (request(b"{}", "/"), 405, "method_not_allowed"),
        (request(b"{}", "/metrics"), 404, "path_not_found"),
        (request(b"", "/docs", "GET"), 404, "path_not_found"),
        (request(b"", "/v2", "GET"), 404, "path_not_found"),
        (request(b"", "/v1/realtime?model=m", "GET", "upgrade: WebSocket\r\n"), 501, "not_supported"),
    ],
)
def test_what_cannot_be_served_is_refused_with_a_code(raw: bytes, status: int, code: str) -> None:
    answer = refused(raw)
    assert (answer.status, answer.code) == (status, code)
    assert answer.header("content-type") == "application/json"
    assert set(answer.json["error"]) == {"message", "type", "code", "param"}


@pytest.mark.parametrize(
    "path",
    [
        "/sleep",
        "/v1/sleep",
        "/v1/m/sleep?level=1",
        "/wake_up",
        "/is_sleeping",
        "/collective_rpc",
        "/server_info",
        "/reset_prefix_cache",
        "/pause",
        "/resume",
        "/start_profile",
        "/v1/load_lora_adapter",
        "/v1/unload_lora_adapter",
        "/v1/m/load_lora_adapter",
        "/v1/load_lora_adapter/",
        "/v1/LOAD_lora_adapter",
        "/v1/%6coad_lora_adapter",
        "/v1/m/%73%6C%65%65%70",
    ],
)
def test_paths_that_change_an_engine_are_forbidden_however_they_are_written(path: str) -> None:
    assert (refused(request(path=path)).status, refused(request(path=path)).code) == (403, "path_forbidden")


@pytest.mark.parametrize(
    "path",
    [
        "/v1/./x",
        "/v1/m/../sleep",
        "/v1/%2e%2e/sleep",
        "/v1/m/..%2fsleep",
        "/v1/chat%2Fcompletions",
        "/v1/%256coad_lora_adapter",
        "/v1/m/%5Csleep",
        "/v1/m/%00",
        "/v1/m/sle%0aep",
        "/v1/m/%ff",
        "/v1/m/%",
    ],
)
def test_paths_that_two_programs_might_read_differently_are_refused(path: str) -> None:
    assert (refused(request(path=path)).status, refused(request(path=path)).code) == (400, "invalid_request")


def test_an_unknown_path_is_told_what_is_served() -> None:
    assert "/v1/<model>/" in refused(request(path="/nothing")).json["error"]["message"]


def test_a_misspelt_model_is_told_the_nearest() -> None:
    assert '"alias"' in refused(request(b'{"model":"alais"}')).json["error"]["message"]


def test_a_client_of_the_messages_api_gets_errors_in_its_own_shape() -> None:
    answer = refused(request(b'{"model":"nosuch"}', "/v1/messages"))
    assert answer.status == 404
    assert answer.json["type"] == "error"
    assert answer.json["error"]["type"] == "not_found_error"


def test_a_body_that_announces_too_much_is_refused_before_it_is_read() -> None:
    async def test() -> None:
        settings = Settings(server=Server(max_body=1000))
        async with house(models=catalogue(model("m"), settings=settings)) as here:
            for path in ("/v1/completions", "/v1/m/completions", "/v1/completions?model=m"):
                head = f"POST {path} HTTP/1.1\r\nhost: [::1]\r\nexpect: 100-continue\r\ncontent-length: 1001\r\n\r\n"
                answer = await here.ask(head.encode())
                assert (answer.status, answer.code) == (413, "body_too_large")
            assert here.supervisor.asked == []

    run(test)


def refused_by_the_queue(refusal: Refusal, path: str = "/v1/chat/completions") -> Answer:
    answers: list[Answer] = []

    async def test() -> None:
        async with house() as here:
            here.supervisor.refusal = refusal
            answers.append(await here.ask(request(path=path)))
            assert here.engine.connections == 0

    run(test)
    return answers[0]


def test_a_refusal_says_when_to_come_back_in_whole_seconds_rounded_up() -> None:
    answer = refused_by_the_queue(
        QueueFull("1024 requests are waiting already, which is the limit.", retry_after=12.1)
    )
    assert (answer.status, answer.code, answer.header("retry-after")) == (429, "queue_full", "13")
    answer = refused_by_the_queue(ModelFailed("m failed: no memory", retry_after=0.0))
    assert (answer.status, answer.code, answer.header("retry-after")) == (503, "model_failed", "1")
    assert refused_by_the_queue(ModelFailed("m is quarantined")).header("retry-after") is None


def test_a_busy_machine_answers_as_the_predecessor_did() -> None:
    holder = Holder(model="big", state="ready", uptime=61.4, idle=3.2, release=1196.8, auto_stop=True)
    answer = refused_by_the_queue(
        ModelBusy("the machine is in use by big", retry_after=40.5, holders=(holder,))
    )
    assert answer.status == 429
    assert answer.header("retry-after") == "41"
    assert answer.header("x-busy-model") == "big"
    assert answer.header("x-model-uptime-sec") == "61"
    assert answer.header("x-model-idle-sec") == "3"
    assert answer.header("x-time-until-release-sec") == "1197"
    assert answer.header("x-model-will-auto-stop") == "true"
    body = json.loads(answer.body)
    assert (body["ok"], body["error"], body["busy"], body["retryAfterSec"]) == (False, "busy", True, 41)
    assert body["currentModel"]["name"] == "big"
    assert body["running"] == []

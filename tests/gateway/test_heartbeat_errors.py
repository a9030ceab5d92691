"""What goes wrong after the first heartbeat is in the body, in the shape of the client's API."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from typing import Any

import pytest

from sparkd.errors import ModelFailed, Refusal, ShuttingDown, WaitTimeout
from tests.gateway.engines import OK, SSE, Asked, Script, answering, chunk, read_request, request
from tests.gateway.gateways import house, run, until
from tests.gateway.waiting import DONE, ROLE, TEXT, ask, data_of, get, models, split, streaming, wait_and_get

APIS = ["chat", "completions", "messages", "responses"]
FAILED = ModelFailed('Model "m" failed: out of memory.', retry_after=12.3)
SAYS = 'Model "m" failed: out of memory. Try again in 13 s.'
QUARANTINED = ModelFailed('Model "m" is quarantined.')


def error_of(api: str, events: list[bytes]) -> Any:
    """The error that ends a stream, in the shape of its API."""
    last = data_of(events[-1])
    if api == "messages":
        assert events[-1].startswith(b"event: error\n")
        assert (last["type"], last["request_id"]) == ("error", "r1")
    elif api == "responses":
        assert events[-1].startswith(b"event: error\n")
        assert events[-2].startswith(b"event: response.failed\n")
        assert (last["type"], last["message"]) == ("error", last["error"]["message"])
    else:
        assert events[-1].startswith(b"data: ")
    return last["error"]


@pytest.mark.parametrize("style", ["chunk", "comment", "reasoning"])
@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize(
    "refusal", [FAILED, WaitTimeout("It took too long.", retry_after=9), ShuttingDown("sparkd stops.")]
)
def test_a_refusal_after_a_heartbeat_is_an_event(
    api: str, style: Any, refusal: Refusal, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "sparkd.gateway")
    got, outcomes = get(ask(api), answering(OK), models(style), refusal=refusal)
    events = split(got.body)
    assert got.status == 200
    assert error_of(api, events)["code"] == refusal.code
    assert b"[DONE]" not in got.body
    assert outcomes == [0]
    (record,) = caplog.records
    assert record.fields["STATUS"] == 503  # type: ignore[attr-defined]
    assert "refused: " in record.getMessage()


@pytest.mark.parametrize("api", APIS)
def test_the_message_says_when_to_retry_because_there_is_no_header(api: str) -> None:
    got, _ = get(ask(api), answering(OK), models(), refusal=FAILED)
    assert error_of(api, split(got.body))["message"] == SAYS


def test_codex_waits_as_long_as_the_failed_response_says() -> None:
    got, _ = get(ask("responses"), answering(OK), models(), refusal=FAILED)
    created, *_, failed, error = map(data_of, split(got.body))
    assert failed["response"]["id"] == created["response"]["id"]
    assert failed["response"]["status"] == "failed"
    assert failed["response"]["error"] == {"code": "rate_limit_exceeded", "message": SAYS}
    assert (failed["sequence_number"], error["sequence_number"], error["code"]) == (1, 2, "model_failed")


def test_codex_does_not_wait_for_what_only_the_owner_can_change() -> None:
    got, _ = get(ask("responses"), answering(OK), models(), refusal=QUARANTINED)
    *_, failed, _ = map(data_of, split(got.body))
    assert failed["response"]["error"] == {"code": "model_failed", "message": QUARANTINED.message}


def rejection(status: bytes, **error: Any) -> bytes:
    """An error of vLLM."""
    body = json.dumps(
        {"error": {"message": "no", "type": "BadRequestError", "param": None, **error}}
    ).encode()
    head = b"HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    return head % (status, len(body)) + body


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize(
    ("status", "code"), [(400, "invalid_request"), (404, "not_found"), (500, "engine_error")]
)
def test_an_error_of_the_engine_is_an_event_with_its_own_status_in_the_outcome(
    api: str, status: int, code: str
) -> None:
    got, outcomes = get(ask(api), answering(rejection(b"%d X" % status, code=status)), models())
    assert got.status == 200
    assert error_of(api, split(got.body))["code"] == code
    assert b"[DONE]" not in got.body
    assert outcomes == [status]


def test_a_prompt_that_the_engine_finds_too_long_has_the_code_that_clients_look_for() -> None:
    words = "The keeper climbed the stairs and cleaned the lamp. " * 370
    count = b'{"count":6000}'
    counted = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(count), count)
    asked: list[Asked] = []
    raw = ask("chat", messages=[{"role": "user", "content": words}])
    got, outcomes = get(raw, answering(counted, asked=asked), models())
    error = error_of("chat", split(got.body))
    assert error["code"] == "context_length_exceeded"
    assert "6,000 tokens" in error["message"]
    assert [each.line.split()[1] for each in asked] == ["/tokenize"]
    assert outcomes == [0]


def closing(*parts: bytes) -> Script:
    """An engine that sends these bytes and closes the connection."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0.01)

    return script


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("parts", [(b"",), (SSE,), (SSE, chunk(ROLE[:50]))])
def test_an_engine_that_dies_before_its_first_event_is_an_event(api: str, parts: tuple[bytes, ...]) -> None:
    got, outcomes = get(ask(api), closing(*parts), models())
    assert error_of(api, split(got.body))["code"] == "engine_failed"
    assert outcomes == [502]


def test_an_engine_that_dies_after_its_first_event_ends_the_stream_as_without_heartbeats() -> None:
    got, outcomes = get(ask("chat"), closing(SSE, chunk(ROLE + TEXT)), models())
    events = [event for event in got.body.split(b"\n\n") if event]
    assert events[-3] == TEXT.strip()
    assert data_of(events[-2])["error"]["code"] == "engine_failed"
    assert events[-1] == DONE.strip()
    assert outcomes == [502]


def test_an_engine_that_sends_no_stream_is_an_error() -> None:
    got, outcomes = get(ask("chat"), answering(OK), models())
    error = error_of("chat", split(got.body))
    assert error["code"] == "engine_failed"
    assert "application/json instead of text/event-stream" in error["message"]
    assert outcomes == [502]


@pytest.mark.parametrize("api", APIS)
def test_after_blanks_the_document_is_the_error(api: str) -> None:
    got, outcomes = get(ask(api, stream=False), answering(OK), models(blanks=True), refusal=FAILED)
    assert got.status == 200
    assert got.body.startswith(b"  ")
    assert got.json["error"]["code"] == "model_failed"
    assert got.json["error"]["message"] == SAYS
    assert outcomes == [0]


@pytest.mark.parametrize("path", ["/api/chat", "/api/generate", "/api/embed"])
def test_ollamas_document_after_blanks_is_the_error(path: str) -> None:
    fields = {"model": "m", "prompt": "hi", "input": "hi", "messages": [{"role": "user", "content": "hi"}]}
    raw = request(json.dumps(fields | {"stream": False}).encode(), path)
    got, _ = get(raw, answering(OK), models(blanks=True), refusal=FAILED)
    assert (got.status, got.json) == (200, {"error": SAYS})


def test_after_blanks_the_engines_error_is_the_document() -> None:
    got, outcomes = get(ask("chat", stream=False), answering(rejection(b"400 X")), models(blanks=True))
    assert got.json["error"]["message"] == "no"
    assert outcomes == [400]


def test_before_the_first_heartbeat_a_refusal_has_its_status() -> None:
    async def test() -> None:
        async with house(ready=False, models=models()) as here:
            here.supervisor.refusal = FAILED
            got = await wait_and_get(here, ask("chat"), seconds=0)
            assert (got.status, got.code, got.header("retry-after")) == (503, "model_failed", "13")

    run(test)


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """An engine that sends a head and nothing else; ends when its client leaves."""
    await read_request(reader)
    writer.write(SSE)
    await reader.read()


async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """An engine that streams until its client leaves."""
    await read_request(reader)
    writer.write(SSE)
    while not reader.at_eof():
        writer.write(chunk(TEXT))
        await writer.drain()
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("script", [silent, endless])
def test_a_client_that_leaves_after_heartbeats_frees_the_engine(api: str, script: Script) -> None:
    async def test() -> None:
        async with house(script, models=models(), ready=False) as here:
            reader, writer = await here.connect()
            writer.write(ask(api))
            await reader.readuntil(b"\r\n\r\n")
            await reader.readuntil(b"\n\n")
            assert here.supervisor.waiting == 1
            here.supervisor.ready.set()
            await until(lambda: here.engine.open == 1)
            await asyncio.sleep(0.1)
            writer.close()
            await until(lambda: here.supervisor.held == 0 and here.engine.open == 0, within=1)
            assert here.supervisor.outcomes == [0]

    run(test)


@pytest.mark.parametrize("api", APIS)
def test_a_client_that_leaves_after_heartbeats_leaves_the_queue(api: str) -> None:
    async def test() -> None:
        async with house(streaming(TEXT), models=models(), ready=False) as here:
            reader, writer = await here.connect()
            writer.write(ask(api))
            await reader.readuntil(b"\n\n")
            writer.close()
            await until(lambda: here.supervisor.waiting == 0, within=1)
            assert here.engine.connections == 0

    run(test)


def test_no_heartbeat_is_written_to_a_client_that_has_just_left() -> None:
    """The task of its request ends in the next turn of the loop. Timers come first."""
    failures: list[dict[str, Any]] = []

    async def test() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: failures.append(context))
        async with house(models=models(), ready=False) as here:
            reader, writer = await here.connect()
            writer.write(ask("chat"))
            await reader.readuntil(b"data: ")
            (connection,) = here.server.server_state.connections
            connection.transport.abort()
            loop.call_soon(time.sleep, 0.1)  # after the connection is lost; then the next heartbeat is due
            await until(lambda: here.supervisor.outcomes == [0])

    run(test)
    assert failures == []

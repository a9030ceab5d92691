"""What is recorded of each request, however it ends."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from sparkd.catalog.client_rules import ClientRule
from sparkd.catalog.key_rules import KeyRules
from sparkd.catalog.reading.keys import Keys
from sparkd.catalog.settings import Settings, Usage
from sparkd.errors import ModelFailed
from sparkd.usage.records import RequestRecord
from tests.gateway.engines import SSE, Asked, answering, chunk, read_answer, read_request, request
from tests.gateway.gateways import House, catalogue, house, model, run, until
from tests.gateway.waiting import BODIES, DONE, PATHS, ROLE, TEXT, ask, models, streaming, wait_and_get

USAGE = {"prompt_tokens": 11, "total_tokens": 14, "completion_tokens": 3}
DOCUMENT = json.dumps(
    {"id": "1", "model": "m", "choices": [], "usage": USAGE}, separators=(",", ":")
).encode()
JSON = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
USAGE_CHUNK = b'data: {"id":"chatcmpl-r1","choices":[],"usage":%b}\n\n' % json.dumps(USAGE).encode()


def watch(here: House) -> list[RequestRecord]:
    """The records of a gateway, once they are flushed."""
    records: list[RequestRecord] = []
    here.gateway.recorder.subscribe(records.extend)
    return records


async def ended(here: House, records: list[RequestRecord], count: int = 1) -> RequestRecord:
    """The newest record, once there are so many."""

    def is_there() -> bool:
        here.gateway.recorder.flush()
        return len(records) >= count

    await until(is_there)
    assert len(records) == count, records
    assert len(here.gateway.recorder.active) == 0
    return records[-1]


def record_of(raw: bytes, answer: bytes, **options: Any) -> RequestRecord:
    """The record of one request that an engine answers so."""
    results: list[RequestRecord] = []

    async def test() -> None:
        async with house(answering(answer), **options) as here:
            records = watch(here)
            await here.ask(raw)
            results.append(await ended(here, records))

    run(test)
    return results[0]


@pytest.mark.parametrize("shortcut", [True, False])
def test_a_document(shortcut: bool) -> None:
    raw = request(b'{"model":"org/alias"}', extra="x-request-id: mine\r\n")
    record = record_of(raw, JSON % (len(DOCUMENT), DOCUMENT), shortcut=shortcut)
    assert (record.id, record.model, record.asked) == ("mine", "m", "org/alias")
    assert (record.client, record.program, record.endpoint) == (
        "anonymous",
        "",
        "/v1/chat/completions",
    )
    assert (record.status, record.code, record.gone, record.streamed) == (200, "", None, False)
    assert (record.tokens_in, record.tokens_cached, record.tokens_out) == (11, None, 3)
    assert (record.queue_seconds, record.load_seconds, record.first_token_seconds) == (0, 0, None)
    assert 0 < record.seconds < 5


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/v1/m/chat/completions", "/v1/chat/completions"),
        ("/openai/v1/embeddings", "/v1/embeddings"),
        ("/V1/org/alias/completions/", "/v1/completions"),
        ("/v1/responses/secret-id/cancel?model=m", "/v1/responses/{id}/cancel"),
        ("/rerank", "/rerank"),
        ("/v1/m/something/else", "other"),
    ],
)
def test_the_endpoint_is_what_the_api_documents(path: str, name: str) -> None:
    record = record_of(request(b'{"model":"m"}', path), JSON % (len(DOCUMENT), DOCUMENT))
    assert (record.endpoint, record.model) == (name, "m")


@pytest.mark.parametrize("engine", ["vllm", "sglang"])
def test_a_stream_is_asked_for_its_usage_which_the_client_does_not_get(engine: Any) -> None:
    asked: list[Asked] = []

    async def test() -> None:
        served = catalogue(model("m", engine=engine))
        async with house(streaming(ROLE, TEXT, TEXT, USAGE_CHUNK, DONE, asked=asked), models=served) as here:
            records = watch(here)
            answer = await here.ask(ask("chat", stream_options={"other": 1, "continuous_usage_stats": True}))
            assert answer.body == ROLE + TEXT + TEXT + DONE
            assert answer.header("x-sparkd-rewrites") is None
            record = await ended(here, records)
            assert (record.tokens_in, record.tokens_out, record.streamed) == (11, 3, True)
            assert record.first_token_seconds is not None
            assert record.first_token_seconds <= record.seconds

    run(test)
    assert json.loads(asked[0].body)["stream_options"] == {"other": 1, "include_usage": True}


@pytest.mark.parametrize(
    "options", [{"include_usage": True}, {"include_usage": True, "continuous_usage_stats": True}]
)
def test_a_client_that_asked_gets_the_usage(options: dict[str, bool]) -> None:
    asked: list[Asked] = []
    raw = ask("chat", stream_options=options)

    async def test() -> None:
        async with house(streaming(ROLE, TEXT, USAGE_CHUNK, DONE, asked=asked)) as here:
            records = watch(here)
            assert (await here.ask(raw)).body == ROLE + TEXT + USAGE_CHUNK + DONE
            assert (await ended(here, records)).tokens_out == 3

    run(test)
    assert json.loads(asked[0].body)["stream_options"] == options


@pytest.mark.parametrize(
    ("fields", "options"),
    [
        ({"engine": "command", "command": ("x",)}, {}),
        ({"ask_usage": False}, {}),
        ({"options": {"enable_force_include_usage": True}}, {}),
        ({}, {"stream": False}),
        ({}, {"n": 2}),
    ],
)
def test_engines_that_must_not_be_asked_get_the_request_as_it_is(
    fields: dict[str, Any], options: dict[str, Any]
) -> None:
    asked: list[Asked] = []

    async def test() -> None:
        async with house(
            streaming(ROLE, TEXT, DONE, asked=asked), models=catalogue(model("m", **fields))
        ) as here:
            records = watch(here)
            await here.ask(ask("chat", **options))
            assert (await ended(here, records)).tokens_out is None

    run(test)
    sent = json.loads(asked[0].body)
    assert sent.get("stream_options") == options.get("stream_options")


def test_a_command_is_asked_if_the_catalogue_says_so() -> None:
    served = catalogue(model("m", engine="command", command=("x",), ask_usage=True))

    async def test() -> None:
        async with house(streaming(TEXT, USAGE_CHUNK, DONE), models=served) as here:
            records = watch(here)
            assert (await here.ask(ask("chat"))).body == TEXT + DONE
            assert (await ended(here, records)).tokens_in == 11

    run(test)


@pytest.mark.parametrize("api", ["completions", "messages", "responses"])
def test_other_apis(api: str) -> None:
    events = {
        "completions": b'data: {"choices":[{"index":0,"text":"a"}]}\n\n' + USAGE_CHUNK + DONE,
        "messages": b'event: content_block_delta\ndata: {"type":"content_block_delta"}\n\n'
        b'event: message_delta\ndata: {"type":"message_delta","usage":{"input_tokens":11,"output_tokens":3}}\n\n',
        "responses": b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta"}\n\n'
        b'event: response.completed\ndata: {"response":{"usage":{"input_tokens":11,"output_tokens":3}}}\n\n',
    }
    record = record_of(ask(api), SSE + chunk(events[api]) + chunk(b""))
    assert (record.endpoint, record.tokens_in, record.tokens_out) == (PATHS[api], 11, 3)
    assert record.first_token_seconds is not None


@pytest.mark.parametrize("stream", [True, False])
def test_ollama(stream: bool) -> None:
    body = json.dumps({"model": "short", "stream": stream, **BODIES["chat"]}).encode()
    answer = SSE + b"".join(map(chunk, (ROLE, TEXT, USAGE_CHUNK, DONE))) + chunk(b"")
    record = record_of(request(body, "/api/chat"), answer if stream else JSON % (len(DOCUMENT), DOCUMENT))
    assert (record.endpoint, record.asked, record.status, record.streamed) == (
        "/api/chat",
        "short",
        200,
        stream,
    )
    assert (record.tokens_in, record.tokens_out) == (11, 3)
    assert (record.first_token_seconds is not None) is stream


@pytest.mark.parametrize(
    ("raw", "status", "code", "named", "asked"),
    [
        (request(b'{"model":"unknown"}'), 404, "model_not_found", "other", "unknown"),
        (request(b'{"model":'), 400, "invalid_request", "other", ""),
        (request(b'{"model":"m"}', "/v1/m/embeddings"), 400, "task_not_supported", "m", "m"),
        (request(b"", "/api/chat"), 400, "invalid_request", "other", ""),
        (request(b'{"model":"' + b"x" * 5000 + b'"}'), 404, "model_not_found", "other", "x" * 200),
    ],
)  # fmt: skip
def test_rejected_requests(raw: bytes, status: int, code: str, named: str, asked: str) -> None:
    record = record_of(
        raw, JSON % (2, b"{}"), models=catalogue(model("m", tags=("chat",), tasks=("generate",)))
    )
    assert (record.status, record.code, record.model, record.asked) == (status, code, named, asked)


def test_requests_without_a_key_and_with_one() -> None:
    keys = Keys([("laptop", "sk-secret")])
    record = record_of(request(), JSON % (2, b"{}"), keys=keys)
    assert (record.status, record.code, record.client) == (401, "invalid_api_key", "anonymous")
    raw = request(extra="authorization: Bearer sk-secret\r\n")
    assert record_of(raw, JSON % (2, b"{}"), keys=keys).client == "laptop"
    served = catalogue(model("m"), keys=(KeyRules(name="laptop", models=("other",)),))
    record = record_of(raw, JSON % (2, b"{}"), keys=keys, models=served)
    assert (record.status, record.code, record.client) == (403, "model_not_allowed", "laptop")


def test_a_recognized_program() -> None:
    rule = ClientRule(name="opencode", headers={"user-agent": "opencode/*"})
    served = catalogue(clients=(rule,))
    raw = request(extra="user-agent: OpenCode/1.2\r\n")
    assert record_of(raw, JSON % (2, b"{}"), models=served).program == "opencode"


def test_what_is_not_meant_for_a_model_is_not_recorded() -> None:
    async def test() -> None:
        async with house() as here:
            records = watch(here)
            for path in (
                "/v1/models",
                "/health",
                "/wp-login.php",
                "/v1/nothing/here",
                "/api/tags",
                "/api/version",
            ):
                await here.ask(request(b"", path, "GET"))
            here.gateway.recorder.flush()
            assert records == []

    run(test)


def test_counting_is_recorded_without_tokens() -> None:
    raw = request(json.dumps({"model": "m", **BODIES["messages"]}).encode(), "/v1/messages/count_tokens")
    record = record_of(raw, JSON % (20, b'{"input_tokens": 55}'))
    assert (record.endpoint, record.status, record.tokens_in) == ("/v1/messages/count_tokens", 200, None)


@pytest.mark.parametrize("shortcut", [True, False])
def test_an_engines_error(shortcut: bool) -> None:
    body = b'{"error":{"message":"no","type":"BadRequestError","code":400}}'
    answer = b"HTTP/1.1 400 Bad Request\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
    record = record_of(request(), answer, shortcut=shortcut)
    assert (record.status, record.code) == (400, "invalid_request")


def test_a_stream_that_an_error_cuts() -> None:
    error = b'data: {"error":{"message":"it failed","type":"InternalServerError","code":500}}\n\n'
    record = record_of(ask("chat"), SSE + chunk(TEXT) + chunk(error) + chunk(DONE) + chunk(b""))
    assert (record.status, record.code, record.streamed) == (500, "engine_error", True)

    async def dies(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(SSE + chunk(TEXT))
        await writer.drain()

    async def test() -> None:
        async with house(dies) as here:
            records = watch(here)
            await here.ask(ask("chat"))
            record = await ended(here, records)
            assert (record.status, record.code) == (502, "engine_failed")

    run(test)


def test_a_refused_request_and_its_wait() -> None:
    async def test() -> None:
        async with house(ready=False) as here:
            records = watch(here)
            here.supervisor.refusal = ModelFailed("It failed.")
            await wait_and_get(here, request())
            record = await ended(here, records)
            assert (record.status, record.code) == (503, "model_failed")
            assert record.queue_seconds > 0.1
            assert record.load_seconds == 0

    run(test)


def test_the_wait_is_split_where_the_load_began() -> None:
    async def test() -> None:
        async with house(answering(JSON % (len(DOCUMENT), DOCUMENT)), ready=False) as here:
            records = watch(here)
            reader, writer = await here.connect()
            writer.write(request())
            await until(lambda: here.supervisor.waiting == 1)
            await asyncio.sleep(0.1)
            assert [row.phase for row in here.gateway.recorder.active.rows()] == ["queued"]
            here.supervisor.load_began = asyncio.get_running_loop().time()
            await asyncio.sleep(0.05)
            [row] = here.gateway.recorder.active.rows()
            assert row.phase == "loading"
            assert row.began + 0.09 < row.phase_since
            here.supervisor.ready.set()
            await read_answer(reader)
            record = await ended(here, records)
            assert record.queue_seconds > 0.09
            assert record.load_seconds > 0.04
            assert record.queue_seconds + record.load_seconds < record.seconds

    run(test)


def test_heartbeats_are_counted_and_are_no_tokens() -> None:
    async def test() -> None:
        async with house(streaming(ROLE, TEXT, DONE), models=models("reasoning"), ready=False) as here:
            records = watch(here)
            await wait_and_get(here, ask("chat"), seconds=0.2)
            record = await ended(here, records)
            assert record.heartbeats >= 3
            assert record.first_token_seconds is not None
            assert record.first_token_seconds > 0.15

    run(test)


@pytest.mark.parametrize("phase", ["queued", "loading", "prefill", "decoding"])
@pytest.mark.parametrize("shortcut", [True, False])
def test_clients_that_leave(phase: str, shortcut: bool) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        if phase == "decoding":
            writer.write(SSE + chunk(ROLE) + chunk(TEXT))
        await reader.read()

    async def test() -> None:
        async with house(script, ready=phase in ("prefill", "decoding"), shortcut=shortcut) as here:
            records = watch(here)
            if phase == "loading":
                here.supervisor.load_began = 0.0
            _, writer = await here.connect()
            writer.write(ask("chat"))
            await until(lambda: [row.phase for row in here.gateway.recorder.active.rows()] == [phase])
            writer.close()
            record = await ended(here, records)
            assert (record.status, record.code, record.gone) == (499, "", phase)

    run(test)


def test_records_for_the_disk_are_switched_off_by_the_catalogue() -> None:
    async def test() -> None:
        served = catalogue(settings=Settings(usage=Usage(record=False)))
        async with house(answering(JSON % (len(DOCUMENT), DOCUMENT)), models=served) as here:
            kept: list[RequestRecord] = []
            here.gateway.recorder.subscribe(kept.extend, keeps=True)
            counted = watch(here)
            await here.ask(request())
            await ended(here, counted)
            assert kept == []
            here.gateway.serve(catalogue(), Keys())
            await here.ask(request())
            await ended(here, counted, 2)
            assert len(kept) == 1

    run(test)


def test_records_come_by_themselves_in_batches_and_a_broken_sink_costs_nothing() -> None:
    async def test() -> None:
        async with house(answering(JSON % (len(DOCUMENT), DOCUMENT))) as here:
            batches: list[int] = []

            def fail(records: list[RequestRecord]) -> None:
                raise RuntimeError(f"this sink has a bug and loses {len(records)} records")

            here.gateway.recorder.subscribe(fail)
            here.gateway.recorder.subscribe(lambda records: batches.append(len(records)))
            work = asyncio.ensure_future(here.gateway.recorder.run())
            raw = request()
            reader, writer = await here.connect()
            for _ in range(30):
                writer.write(raw)
                assert (await read_answer(reader)).status == 200
            await until(lambda: sum(batches) == 30)
            assert len(batches) < 5
            work.cancel()

    run(test)


def test_an_exact_count_of_the_prompt_does_not_forget_to_ask_for_the_usage() -> None:
    asked: list[Asked] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            asked.append(await read_request(reader))
            if "/tokenize" in asked[-1].line:
                writer.write(JSON % (14, b'{"count": 900}'))
            else:
                writer.write(SSE + b"".join(map(chunk, (ROLE, TEXT, USAGE_CHUNK, DONE, b""))))

    async def test() -> None:
        async with house(script, models=catalogue(model("m", context_length=1000))) as here:
            records = watch(here)
            text = "word " * 800
            answer = await here.ask(ask("chat", messages=[{"role": "user", "content": text}]))
            assert answer.body == ROLE + TEXT + DONE
            assert (await ended(here, records)).tokens_out == 3

    run(test)
    assert [each.line.split()[1] for each in asked] == ["/tokenize", "/v1/chat/completions"]
    assert json.loads(asked[1].body)["stream_options"] == {"include_usage": True}

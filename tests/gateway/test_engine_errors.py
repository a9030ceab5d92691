"""An engine's error reaches the client in the shape of the client's API, with a code and without dumps."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from tests.gateway.engines import SSE, Answer, Asked, answering, chunk, read_answer, request
from tests.gateway.gateways import house, run

PATHS = ("/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses", "/v1/messages")


def response(status: int, body: bytes, extra: str = "", kind: str = "application/json") -> bytes:
    head = f"HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\n{extra}content-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def ask(answered: bytes, path: str = PATHS[0], extra: str = "", method: str = "POST") -> Answer:
    answers: list[Answer] = []

    async def test() -> None:
        async with house(answering(answered)) as here:
            answers.append(await here.ask(request(path=path, method=method, extra=extra)))

    run(test)
    return answers[0]


def error(answer: Answer) -> dict[str, Any]:
    """The error of an answer, after its shape was checked."""
    body = answer.json
    assert answer.header("content-type") == "application/json"
    if body.get("type") == "error":
        assert set(body) == {"type", "error", "request_id"}
        assert body["request_id"] == answer.header("x-request-id")
        assert set(body["error"]) == {"type", "message", "code"}
    else:
        assert set(body) == {"error"}
        assert set(body["error"]) == {"message", "type", "code", "param"}
    inner: dict[str, Any] = body["error"]
    assert isinstance(inner["code"], str)
    assert 0 < len(inner["message"]) <= 600
    return inner


def dump(count: int, *, cleaned: bool = False) -> str:
    """Errors as vLLM prints them: many branches of one union, and the whole input in each."""
    where = "'body.input.1.{0}.id'" if cleaned else "('body', 'input', 'list[union[A,B]]', 1, '{0}', 'id')"
    one = "  {{'type': 'string_type', 'loc': {0}, 'msg': 'Input should be a valid string', 'input': {1!r}}}\n"
    lines = [
        one.format(where.format(f"Branch{n}"), {"id": None, "text": "secret" * 50}) for n in range(count - 1)
    ]
    lines.append(
        "  {'type': 'missing', 'loc': ('body', 'input', 'str'), 'msg': 'Field required', 'input': {}}\n"
    )
    return f"{count} validation errors:\n" + "".join(lines)


PYDANTIC = """2 validation errors for ChatCompletionRequest
messages.0.content.str
  Input should be a valid string [type=string_type, input_value=7, input_type=int]
    For further information visit https://errors.pydantic.dev/2.11/v/string_type
top_k
  Field required [type=missing, input_value={'a': 'secret'}, input_type=dict]
"""

DETAILS = {
    "detail": [
        {"type": "missing", "loc": ["body", "messages"], "msg": "Field required", "input": {"a": "secret"}},
        {"type": "int", "loc": ["body", "seed"], "msg": "Input should be a valid integer", "input": "secret"},
    ]
}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("status", "body", "kind", "code", "part"),
    [
        (404, b'{"detail":"Not Found"}', "application/json", "not_found", "does not serve POST /v1/"),
        (405, b'{"detail":"Method Not Allowed"}', "application/json", "method_not_allowed", "does not serve"),
        (
            422,
            json.dumps(DETAILS).encode(),
            "application/json",
            "invalid_request",
            "`seed`: Input should be a valid",
        ),
        (
            400,
            b'{"object":"error","message":"No such thing: x.","type":"BadRequestError","param":null,"code":400}',
            "application/json",
            "invalid_request",
            "No such thing: x.",
        ),
        (
            400,
            b'{"error":{"message":"Bad tools.","type":"BadRequestError","param":"tools","code":400}}',
            "application/json",
            "invalid_request",
            "Bad tools.",
        ),
        (
            400,
            b'{"error":{"message":"This model\'s maximum context length is 9 tokens.","type":"x","code":400}}',
            "application/json",
            "context_length_exceeded",
            "maximum context length",
        ),
        (
            400,
            b'{"type":"error","error":{"type":"BadRequestError","message":"Oh."}}',
            "application/json",
            "invalid_request",
            "Oh.",
        ),
        (401, b'{"error":"Unauthorized"}', "application/json", "engine_unauthorized", "`api-key`"),
        (429, b'{"message":"slow down"}', "application/json", "rate_limited", "slow down"),
        (
            502,
            b"<html><head><title>502 Bad Gateway</title></head><body><center>nginx</center></body></html>",
            "text/html",
            "engine_error",
            "with 502: Bad Gateway. See `sparkctl logs m`.",
        ),
        (
            413,
            b" <h1>Too large</h1>",
            "text/html",
            "body_too_large",
            "with 413: Too large. Check the request.",
        ),
        (500, b'{"detail":"Bad Gateway"}', "application/json", "engine_error", "with 500: Bad Gateway. See"),
        (429, b"", "text/plain", "rate_limited", "Try again later."),
        (
            400,
            b'{"error": {"message": "Too \\"long\\": ' + b"x" * 3_000_000 + b'", "code": 400}}',
            "application/json",
            "invalid_request",
            'Too "long": xxx',
        ),
        (500, b"Internal Server Error", "text/plain", "engine_error", "`sparkctl logs m`"),
        (503, b"", "text/plain", "engine_unavailable", "Service Unavailable"),
        (418, b'"a text"', "application/json", "invalid_request", "a text"),
        (400, b"[1,2]", "application/json", "invalid_request", "Bad Request"),
        (400, b'{"error":{"message":{"a":1}}}', "application/json", "invalid_request", '{"a":1}'),
        (400, b'{"error":"\xff\xfe', "application/json", "invalid_request", "error"),
        (500, b'{"a":' * 5000, "application/json", "engine_error", "{"),
        (499, b"x" * 3_000_000, "text/plain", "invalid_request", "xxx …"),
    ],
)
def test_every_error_of_an_engine_has_the_shape_of_the_api(
    path: str, status: int, body: bytes, kind: str, code: str, part: str
) -> None:
    answer = ask(response(status, body, "retry-after: 7\r\nx-more: 1\r\n", kind), path)
    found = error(answer)
    assert (answer.status, found["code"]) == (status, code)
    assert part in found["message"]
    assert "secret" not in found["message"]
    assert (answer.header("retry-after"), answer.header("x-more")) == ("7", "1")
    assert (answer.json.get("type") == "error") == (path == "/v1/messages")


@pytest.mark.parametrize(
    ("text", "message", "field"),
    [
        (
            dump(211),
            "`input.1.id`: Input should be a valid string; `input`: Field required",
            "input.1.id",
        ),
        (
            dump(11, cleaned=True) + "  ...and 200 more errors\n",
            "`input.1.id`: Input should be a valid string; `input`: Field required",
            "input.1.id",
        ),
        (
            PYDANTIC,
            "`messages.0.content`: Input should be a valid string; `top_k`: Field required",
            "messages.0.content",
        ),
    ],
)
def test_a_dump_of_a_validation_is_cut_to_the_fields(text: str, message: str, field: str) -> None:
    for body in (
        {"error": {"message": text, "type": "Bad Request", "param": None, "code": 400}},
        {"object": "error", "message": text, "type": "BadRequestError", "code": 400},
    ):
        found = error(ask(response(400, json.dumps(body).encode()), "/v1/responses"))
        assert found["message"] == f'The engine of "m" rejects these fields: {message}'
        assert found["param"] == field


def test_many_different_problems_are_counted() -> None:
    details = [{"loc": ["body", f"f{n}"], "msg": "Field required"} for n in range(50)]
    found = error(ask(response(422, json.dumps({"detail": details}).encode())))
    assert found["message"].endswith("`f2`: Field required; and 47 more")


@pytest.mark.parametrize(
    "status", [400, 401, 403, 404, 405, 408, 413, 415, 422, 429, 500, 501, 502, 503, 504, 529]
)
def test_anthropics_types_follow_the_status(status: int) -> None:
    types = {
        401: "authentication_error",
        403: "permission_error",
        404: "not_found_error",
        408: "timeout_error",
    }
    types |= {
        413: "request_too_large",
        429: "rate_limit_error",
        503: "overloaded_error",
        504: "timeout_error",
    }
    types |= {500: "api_error", 502: "api_error", 529: "overloaded_error"}
    answer = ask(response(status, b"{}"), "/v1/messages")
    assert (answer.status, error(answer)["type"]) == (status, types.get(status, "invalid_request_error"))


def test_a_compressed_error_and_one_without_a_body_stay_as_they_are() -> None:
    packed = response(400, b"\x1f\x8b", "content-encoding: gzip\r\n")
    assert ask(packed).body == b"\x1f\x8b"
    head = b"HTTP/1.1 404 X\r\ncontent-length: 22\r\n\r\n"
    answer = ask(head, "/v1/m/responses/r1", method="HEAD")
    assert (answer.status, answer.header("content-length")) == (404, "22")


def test_an_engine_that_breaks_off_in_its_error_has_failed() -> None:
    async def script(reader: Any, writer: Any) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(response(400, b"x" * 100)[:-50])

    async def test() -> None:
        async with house(script) as here:
            answer = await here.ask(request())
            assert (answer.status, answer.code) == (502, "engine_failed")

    run(test)


def test_the_connection_serves_the_next_request() -> None:
    asked: list[Asked] = []

    async def test() -> None:
        async with house(answering(response(400, b"{}"), asked=asked)) as here:
            reader, writer = await here.connect()
            for _ in range(3):
                writer.write(request())
                assert (await read_answer(reader)).status == 400
            assert here.engine.connections == 1

    run(test)


def test_the_journal_has_the_whole_error_at_debug(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "sparkd.gateway.responses.answer"):
        ask(response(400, json.dumps({"error": {"message": dump(211)}}).encode()))
    assert "secretsecret" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.INFO):
        ask(response(500, b'{"error":{"message":"quotes: secret"}}'))
    assert "secret" not in caplog.text


OPENAI_EVENT = b'data: {"error": {"message": "It broke.", "type": "InternalServerError", "code": 500}}\n\n'
OLD_EVENT = b'data: {"object": "error", "message": "It broke.", "type": "BadRequestError", "code": 400}\n\n'
ANTHROPIC_EVENT = (
    b'event: error\ndata: {"type":"error","error":{"type":"internal_error","message":"It broke."}}\n\n'
)


@pytest.mark.parametrize("event", [OPENAI_EVENT, OLD_EVENT, ANTHROPIC_EVENT])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/v1/responses"])
def test_an_error_in_a_stream_has_the_shape_of_the_api(event: bytes, path: str) -> None:
    text = b'event: x\ndata: {"text":"data: {\\"error\\": {}}"}\n\n'
    answer = ask(b"".join((SSE, chunk(text), chunk(event[:30]), chunk(event[30:]), chunk(b""))), path)
    assert answer.body.startswith(text)
    lines = answer.body[len(text) :].decode().splitlines()
    data = json.loads(next(line for line in lines if line.startswith("data: "))[6:])
    if path == "/v1/chat/completions":
        assert (set(data), data["error"]["message"]) == ({"error"}, "It broke.")
        return
    assert lines[0] == "event: error"
    assert lines.count("event: error") == 1
    if path == "/v1/messages":
        expected = "invalid_request_error" if event is OLD_EVENT else "api_error"
        assert (data["type"], data["error"]["type"], data["error"]["message"]) == (
            "error",
            expected,
            "It broke.",
        )
        assert data["request_id"] == answer.header("x-request-id")
    else:
        assert (data["type"], data["message"]) == ("error", "It broke.")


@pytest.mark.parametrize("data", [b'{"error":null}', b'{"error":', b'{"detail":{}}', b'{"object":"error"}'])
def test_what_is_no_error_stays_in_the_stream(data: bytes) -> None:
    assert (
        ask(b"".join((SSE, chunk(b"data: " + data + b"\n\n"), chunk(b"")))).body == b"data: " + data + b"\n\n"
    )

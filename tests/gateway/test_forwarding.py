"""What reaches the engine, and what comes back."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.gateway.engines import OK, SSE, Asked, answering, chunk, read_answer, read_request, request
from tests.gateway.gateways import catalogue, house, model, run


def asked_for(raw: bytes) -> Asked:
    """What the engine sees of a request."""
    seen: list[Asked] = []

    async def test() -> None:
        async with house(answering(OK, asked=seen)) as here:
            answer = await here.ask(raw)
            assert answer.status == 200, answer

    run(test)
    return seen[0]


@pytest.mark.parametrize(
    ("path", "body", "line"),
    [
        ("/v1/chat/completions", b'{"model":"m"}', "POST /v1/chat/completions HTTP/1.1"),
        ("/v1/m/chat/completions", b"{}", "POST /v1/chat/completions HTTP/1.1"),
        ("/v1/m/chat/completions", b'{"model":"another"}', "POST /v1/chat/completions HTTP/1.1"),
        ("/v1/short/completions/", b"{}", "POST /v1/completions HTTP/1.1"),
        ("/v1/org%2Falias/responses", b"{}", "POST /v1/responses HTTP/1.1"),
        ("/v1/responses/r1/cancel?model=m", b"{}", "POST /v1/responses/r1/cancel HTTP/1.1"),
        ("/v1/messages?beta=true&model=org/alias&x=%20", b"{}", "POST /v1/messages?beta=true&x=%20 HTTP/1.1"),
        ("/detokenize", b'{"model":"m"}', "POST /detokenize HTTP/1.1"),
        ("/v2/rerank", b'{"model":"m"}', "POST /v2/rerank HTTP/1.1"),
    ],
)
def test_the_model_is_found_in_path_query_or_body(path: str, body: bytes, line: str) -> None:
    asked = asked_for(request(body, path))
    assert asked.line == line
    assert json.loads(asked.body)["model"] == "m"


def test_an_alias_in_the_body_becomes_the_id_and_nothing_else_changes() -> None:
    asked = asked_for(request('{"a": 1.50, "model" :"org/alias","b":"ä\\u00e4"}'.encode()))
    assert json.loads(asked.body) == {"a": 1.5, "model": "m", "b": "ää"}
    assert b"1.50" in asked.body
    assert asked.header("content-length") == str(len(asked.body))


def test_an_untouched_body_arrives_byte_for_byte() -> None:
    body = b'{ "model" : "m",  "x":[1,  2] }'
    assert asked_for(request(body)).body == body


def test_requests_without_a_body_are_passed_on_when_path_or_query_name_the_model() -> None:
    asked = asked_for(b"GET /v1/responses/r1?model=m HTTP/1.1\r\nhost: localhost\r\nx-mine: 1\r\n\r\n")
    assert (asked.line, asked.body) == ("GET /v1/responses/r1 HTTP/1.1", b"")
    assert asked.header("x-mine") == "1"
    assert asked.header("content-length") is None


def test_json_without_its_content_type_is_read_all_the_same() -> None:
    body = b'{"model":"short"}'
    head = b"POST /v1/completions HTTP/1.1\r\ncontent-type: application/x-www-form-urlencoded\r\n"
    asked = asked_for(head + b"content-length: %d\r\n\r\n" % len(body) + body)
    assert json.loads(asked.body) == {"model": "m"}


def test_a_form_is_passed_on_unread_when_the_path_names_the_model() -> None:
    body = bytes(range(256)) * 1000
    head = b"POST /v1/m/audio/transcriptions HTTP/1.1\r\ncontent-type: multipart/form-data; boundary=x\r\n"
    asked = asked_for(head + b"content-length: %d\r\n\r\n" % len(body) + body)
    assert asked.body == body
    assert asked.header("content-length") == str(len(body))


def test_a_chunked_body_that_is_not_json_is_passed_on_in_chunks() -> None:
    head = (
        b"POST /v1/audio/transcriptions?model=m HTTP/1.1\r\ncontent-type: multipart/form-data; boundary=x\r\n"
    )
    asked = asked_for(
        head + b"transfer-encoding: chunked\r\n\r\n" + chunk(b"abc") + chunk("grün".encode()) + chunk(b"")
    )
    assert asked.body == "abcgrün".encode()
    assert asked.header("transfer-encoding") == "chunked"


def test_a_chunked_json_body_arrives_with_its_length() -> None:
    head = b"POST /v1/completions HTTP/1.1\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    asked = asked_for(head + chunk(b'{"mod') + chunk(b'el":"m"}') + chunk(b""))
    assert asked.body == b'{"model":"m"}'
    assert asked.header("content-length") == "13"


def test_headers_arrive_in_order_with_duplicates_and_without_what_is_not_the_engines() -> None:
    extra = "X-Two: 1\r\nconnection: keep-alive, x-own\r\nx-own: 1\r\nx-two: 2\r\n"
    asked = asked_for(
        request(extra=extra + "origin: http://localhost\r\nte: trailers\r\naccept-encoding: gzip\r\n")
    )
    names = [name for name, _ in asked.headers]
    assert [value for name, value in asked.headers if name == "x-two"] == ["1", "2"]
    assert not {"connection", "x-own", "origin", "te", "expect", "accept-encoding"} & set(names)
    assert names.count("host") == 1
    assert names[-1] == "content-length"


def test_a_request_id_is_made_or_kept_and_given_to_both_sides() -> None:
    seen: list[Asked] = []

    async def test() -> None:
        async with house(answering(OK, asked=seen)) as here:
            mine = await here.ask(request(extra="x-request-id: mine\r\n"))
            made = await here.ask(request())
        assert mine.header("x-request-id") == seen[0].header("x-request-id") == "mine"
        assert made.header("x-request-id") == seen[1].header("x-request-id")
        assert made.header("x-request-id") != "mine"

    run(test)


def test_the_answer_keeps_its_status_its_headers_and_its_bytes() -> None:
    answer = (
        b"HTTP/1.1 418 Teapot\r\nserver: engine\r\nset-cookie: a\r\nset-cookie: b\r\ncontent-encoding: gzip\r\n"
        b"connection: keep-alive\r\ncontent-length: 3\r\n\r\n\x00\xff\x01"
    )

    async def test() -> None:
        async with house(answering(answer)) as here:
            got = await here.ask(request())
        assert (got.status, got.body) == (418, b"\x00\xff\x01")
        assert got.headers[:-1] == [
            ("server", "engine"),
            ("set-cookie", "a"),
            ("set-cookie", "b"),
            ("content-encoding", "gzip"),
            ("content-length", "3"),
            ("content-security-policy", "sandbox; default-src 'none'"),
            ("x-content-type-options", "nosniff"),
        ]

    run(test)


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_without_a_body_keeps_the_connection_usable(status: int) -> None:
    empty = (
        b"HTTP/1.1 %d X\r\ncontent-length: 7\r\n\r\n" % status if status == 304 else b"HTTP/1.1 204 X\r\n\r\n"
    )

    async def test() -> None:
        async with house(answering(empty, OK)) as here:
            reader, writer = await here.connect()
            writer.write(request())
            assert (await read_answer(reader)).status == status
            writer.write(request())
            assert (await read_answer(reader)).body == b"{}"

    run(test)


def test_head_is_passed_on_and_answered_with_the_length_alone() -> None:
    async def test() -> None:
        async with house(answering(b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n", OK)) as here:
            reader, writer = await here.connect()
            writer.write(b"HEAD /v1/m/responses/r1 HTTP/1.1\r\nhost: localhost\r\n\r\n")
            assert (await read_answer(reader, head_only=True)).header("content-length") == "7"
            writer.write(request())
            assert (await read_answer(reader)).body == b"{}"

    run(test)


def test_events_arrive_one_by_one_as_the_engine_sends_them() -> None:
    go_on = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(SSE)
        for n in range(3):
            writer.write(chunk(f"data: größe {n}\n\n".encode()))
            await go_on.wait()
            go_on.clear()
        writer.write(chunk(b""))

    async def test() -> None:
        async with house(script) as here:
            reader, writer = await here.connect()
            writer.write(request())
            head = await read_request(reader, body=False)
            assert head.header("x-accel-buffering") == "no"
            assert here.supervisor.held == 1
            for n in range(3):
                size = int(await reader.readline(), 16)
                assert (await reader.readexactly(size + 2)).decode() == f"data: größe {n}\n\n\r\n"
                go_on.set()
            assert await reader.readexactly(5) == b"0\r\n\r\n"
            writer.close()

    run(test)


def test_expect_is_answered_here_and_the_engine_never_sees_it() -> None:
    seen: list[Asked] = []

    async def test() -> None:
        async with house(answering(OK, asked=seen)) as here:
            reader, writer = await here.connect()
            raw = request(extra="expect: 100-continue\r\n")
            head, body = raw.split(b"\r\n\r\n")
            writer.write(head + b"\r\n\r\n")
            assert await reader.readexactly(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
            writer.write(body)
            assert (await read_answer(reader)).status == 200
        assert seen[0].header("expect") is None

    run(test)


def test_two_models_go_to_the_models_that_were_named() -> None:
    async def test() -> None:
        async with house(models=catalogue(model("one"), model("two"))) as here:
            await here.ask(request(b'{"model":"two"}'))
            await here.ask(request(b"{}", "/v1/one/chat/completions"))
            assert here.supervisor.asked == ["two", "one"]

    run(test)

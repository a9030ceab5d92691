"""Bodies that are JSON under another name, in another encoding or in pieces."""

from __future__ import annotations

import asyncio
import json
import shutil

import pytest

from tests.gateway.engines import OK, Answer, Asked, answering, chunk, read_answer, request
from tests.gateway.gateways import catalogue, house, model, run

PATHS = [
    "/v1/chat/completions",
    "/v1/messages",
    "/v1/m/responses",
    "/v1/embeddings",
    "/rerank",
    "/v1/m/score",
]
TEXT = '{"model": "m", "x": "größer 日本 😀"}'


def ask(raw: bytes) -> tuple[Answer, list[Asked]]:
    seen: list[Asked] = []
    got: list[Answer] = []

    async def test() -> None:
        async with house(answering(OK, asked=seen)) as here:
            got.append(await here.ask(raw))
            assert (got[0].status == 200) == bool(here.supervisor.asked)

    run(test)
    return got[0], seen


def typed(body: bytes, content_type: str | None, path: str) -> bytes:
    line = f"Content-Type: {content_type}\r\n" if content_type is not None else ""
    return f"POST {path} HTTP/1.1\r\n{line}content-length: {len(body)}\r\n\r\n".encode() + body


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "content_type",
    [
        *(
            None,
            "",
            "application/x-www-form-urlencoded",
            "text/plain;charset=UTF-8",
            "text/json",
            "*/*",
            "json",
        ),
        *("application/octet-stream", "application/x-www-form-urlencoded; charset=utf-8"),
        "application/vnd.api+json",
    ],
)
def test_json_under_another_name_reaches_the_engine_as_json(content_type: str | None, path: str) -> None:
    answer, seen = ask(typed(TEXT.encode(), content_type, path))
    assert answer.status == 200
    types = [value for name, value in seen[0].headers if name == "content-type"]
    assert types == ["application/json"]
    assert json.loads(seen[0].body) == json.loads(TEXT)
    assert seen[0].header("x-request-id") == answer.header("x-request-id") is not None


def test_a_content_type_that_is_json_is_kept() -> None:
    _, seen = ask(typed(b'{"model":"m"}', "Application/JSON; charset=utf-8", PATHS[0]))
    assert seen[0].header("content-type") == "Application/JSON; charset=utf-8"


@pytest.mark.parametrize("path", PATHS)
def test_a_real_form_is_rejected_with_a_next_step(path: str) -> None:
    for body in (b"model=m&prompt=hi", b""):
        answer, _ = ask(typed(body or b"a=b", "application/x-www-form-urlencoded", path))
        message = answer.json["error"]["message"]
        assert answer.status == 400
        assert "application/json" in message
    multipart = b'--x\r\ncontent-disposition: form-data; name="model"\r\n\r\nm\r\n--x--\r\n'
    answer, _ = ask(typed(multipart, "multipart/form-data; boundary=x", path))
    assert answer.status == 415
    assert "takes JSON" in answer.json["error"]["message"]


def test_json_for_a_path_that_takes_a_form_is_rejected() -> None:
    for path in ("/v1/m/audio/transcriptions", "/v1/audio/transcriptions"):
        answer, _ = ask(typed(b'{"model":"m"}', "application/json", path))
        assert (answer.status, answer.code) == (415, "media_type_not_supported")


@pytest.mark.parametrize("path", PATHS)
def test_a_byte_order_mark_is_skipped(path: str) -> None:
    for content_type in ("application/json", "application/x-www-form-urlencoded"):
        answer, seen = ask(typed(b"\xef\xbb\xbf" + TEXT.encode(), content_type, path))
        assert answer.status == 200
        assert seen[0].body == TEXT.encode()


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "encoding",
    [
        "utf-16",
        "utf-16-le",
        "utf-16-be",
        "utf-32",
        "utf-32-le",
        "utf-32-be",
        "latin-1",
        "cp1252",
        "cp437",
        "shift-jis",
    ],
)
def test_other_encodings_are_rejected_before_a_start(encoding: str, path: str) -> None:
    text = TEXT.replace("日本 😀", "").replace("ö", "日").replace("ß", "本") if "jis" in encoding else TEXT
    body = text.replace("日本 😀", "").encode(encoding)
    answer, _ = ask(typed(body, f"application/json; charset={encoding}", path))
    assert answer.status == 400
    message = answer.json["error"]["message"]
    assert "UTF-8" in message
    assert encoding[:6].upper() in message or not encoding.startswith("utf")


@pytest.mark.parametrize(
    "value", [b"\xe4", b"\xc3", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\xff", b"\xe2\x82"]
)
@pytest.mark.parametrize("filler", [0, 2_000_000])
def test_bytes_that_are_not_utf_8_are_rejected_wherever_they_are(value: bytes, filler: int) -> None:
    payload = b'{"url":"data:image/png;base64,' + b"A" * filler + b'"}'
    for body in (
        b'{"model":"m","x":"' + value + b'","y":' + payload + b"}",
        b'{"model":"m","y":' + payload + b',"x":["' + value + b'"]}',
        b'{"model":"m","y":' + payload.replace(b"A" * 1000, b"A" * 999 + value, 1) + b"}",
        b'{"model":"m","y":' + payload + b',"' + value + b'":1}',
        b'{"model":"m","y":{"data":"' + b"A" * filler + value + b'"}}',
    ):
        answer, _ = ask(request(body))
        if value not in body:
            continue
        assert (answer.status, "UTF-8" in answer.json["error"]["message"]) == (400, True)


def test_valid_text_of_many_bytes_is_served_wherever_pieces_end() -> None:
    for size in (300_000, 1_048_575, 1_048_576, 1_048_577, 2_500_000):
        body = b'{"model":"m","x":"' + b"a" * (size % 7) + "ü😀".encode() * (size // 6) + b'"}'
        answer, seen = ask(request(body))
        assert (answer.status, seen[0].body) == (200, body)


def test_a_chunked_body_with_extensions_and_trailers_is_served() -> None:
    head = b"POST /v1/chat/completions HTTP/1.1\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n"
    body = b'4;name="x"\r\n{"mo\r\n9\r\ndel":"m"}\r\n0\r\nx-checksum: 1\r\nauthorization: Bearer x\r\n\r\n'
    answer, seen = ask(head + b"trailer: x-checksum\r\n\r\n" + body)
    assert (answer.status, seen[0].body) == (200, b'{"model":"m"}')
    assert seen[0].header("x-checksum") is seen[0].header("authorization") is None


def test_a_client_that_expects_100_continue_gets_it_before_it_sends_its_body() -> None:
    async def test() -> None:
        async with house() as here:
            reader, writer = await here.connect()
            raw = request(extra="expect: 100-continue\r\n")
            head, body = raw.split(b"\r\n\r\n")
            writer.write(head + b"\r\n\r\n")
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            writer.write(body)
            assert (await read_answer(reader)).status == 200

    run(test)


@pytest.mark.parametrize(
    "options",
    [
        ("-d", '{"model":"m"}'),
        ("--json", '{"model":"m"}'),
        ("-d", '{"model":"m"}', "-H", "Expect: 100-continue"),
        ("-d", '{"model":"m"}', "-H", "Transfer-Encoding: chunked"),
        ("-d", '{"model":"m"}', "-H", "Content-Type:"),
        ("--data-binary", "@-", "-H", "Content-Type: text/plain"),
    ],
)
def test_curl_is_served(options: tuple[str, ...]) -> None:
    curl = shutil.which("curl")
    assert curl, "curl is missing"
    seen: list[Asked] = []

    async def test() -> None:
        async with house(answering(OK, asked=seen)) as here:
            process = await asyncio.create_subprocess_exec(
                curl,
                *(
                    "-sS",
                    "--fail",
                    "--noproxy",
                    "*",
                    "--path-as-is",
                    *options,
                    f"{here.url}//v1/chat/completions",
                ),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
            )
            out, _ = await process.communicate(b'{"model":"m"}')
            assert (process.returncode, out) == (0, b"{}")
            assert seen[0].header("content-type") == "application/json"

    run(test)


def test_an_engine_of_ones_own_gets_what_it_was_sent() -> None:
    seen: list[Asked] = []

    async def test() -> None:
        models = catalogue(model("m", engine="command"))
        async with house(answering(OK, asked=seen), models=models) as here:
            raw = typed(b"\xff\x00", "audio/wav", "/v1/m/audio/speech")
            assert (await here.ask(raw)).status == 200
            assert (seen[0].body, seen[0].header("content-type")) == (b"\xff\x00", "audio/wav")

    run(test)


def test_a_body_cut_by_a_disconnect_asks_for_nothing() -> None:
    async def test() -> None:
        async with house() as here:
            for size in (1, 50):
                _, writer = await here.connect()
                head = b"POST /v1/completions HTTP/1.1\r\ncontent-encoding: gzip\r\n"
                writer.write(head + b"transfer-encoding: chunked\r\n\r\n" + chunk(b"\x1f\x8b" * size))
                writer.close()
            await asyncio.sleep(0.05)
            assert here.supervisor.asked == []

    run(test)

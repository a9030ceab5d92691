"""Compressed bodies: read within the limit on what they unpack to, and sent to engines plain."""

from __future__ import annotations

import asyncio
import gzip
import json
import random
import sys
import zlib
from collections.abc import Callable

import psutil
import pytest

from sparkd.catalog.quantities import MIB
from sparkd.catalog.settings import Server, Settings
from tests.gateway.engines import OK, Answer, Asked, answering, chunk, read_answer, request
from tests.gateway.gateways import House, catalogue, house, model, run
from tests.gateway.test_forms import form, form_head

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

BODY = json.dumps({"model": "short", "messages": [{"role": "user", "content": "hi ä" * 5000}]}).encode()

SHORT = b'{"model": "m", "messages": [{"role": "user", "content": "hi"}]}'


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


CODINGS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "GZip": gzip.compress,
    "gzip ": lambda data: gzip.compress(data[:100]) + gzip.compress(data[100:]),
    "deflate": zlib.compress,
    "Deflate": raw_deflate,
    "zstd": zstd.compress,
    " zstd": lambda data: zstd.compress(data[:100]) + zstd.compress(data[100:]),
    "identity": bytes,
    "": bytes,
    "gzip, identity, zstd": lambda data: zstd.compress(gzip.compress(data)),
    "deflate,gzip,": lambda data: gzip.compress(zlib.compress(data)),
}


def ask(raw: bytes, max_body: int = 64 * MIB) -> tuple[Answer, list[Asked], House]:
    seen: list[Asked] = []
    got: list[tuple[Answer, House]] = []

    async def test() -> None:
        models = catalogue(
            model("m", aliases=("short", "org/alias")), settings=Settings(server=Server(max_body=max_body))
        )
        async with house(answering(OK, asked=seen), models=models) as here:
            got.append((await here.ask(raw), here))

    run(test)
    return got[0][0], seen, got[0][1]


def compressed(body: bytes, coding: str, path: str = "/v1/chat/completions") -> bytes:
    return request(body, path, extra=f"Content-Encoding: {coding}\r\n")


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/m/messages", "/v1/embeddings", "/v2/rerank"])
@pytest.mark.parametrize("coding", CODINGS)
def test_an_engine_gets_what_was_compressed_as_plain_json(coding: str, path: str) -> None:
    answer, seen, _ = ask(compressed(CODINGS[coding](BODY), coding, path))
    assert answer.status == 200
    assert json.loads(seen[0].body) == json.loads(BODY) | {"model": "m"}
    assert seen[0].header("content-encoding") is None
    assert seen[0].header("content-length") == str(len(seen[0].body))


def test_codings_in_several_headers_count_in_their_order() -> None:
    extra = "content-encoding: gzip\r\ncontent-encoding: zstd\r\n"
    answer, seen, _ = ask(request(zstd.compress(gzip.compress(BODY)), extra=extra))
    assert (answer.status, len(seen)) == (200, 1)


@pytest.mark.parametrize("path", ["/v1/audio/transcriptions", "/v1/m/audio/transcriptions"])
def test_a_compressed_form_reaches_the_engine_plain(path: str) -> None:
    body = gzip.compress(form(model_last=True))
    head = form_head(len(body), path=path).replace(b"\r\n\r\n", b"\r\ncontent-encoding: gzip\r\n\r\n")
    answer, seen, _ = ask(head + body)
    assert answer.status == 200
    expected = form(model_last=True)
    assert seen[0].body == (expected if "/m/" in path else expected.replace(b"org/alias", b"m"))
    assert seen[0].header("content-encoding") is None


@pytest.mark.parametrize("size", [1, 7, 4096])
@pytest.mark.parametrize("coding", CODINGS)
def test_pieces_may_be_cut_anywhere(coding: str, size: int) -> None:
    body = CODINGS[coding](SHORT)
    seen: list[Asked] = []

    async def test() -> None:
        async with house(answering(OK, asked=seen)) as here:
            reader, writer = await here.connect()
            head = b"POST /v1/completions HTTP/1.1\r\ncontent-encoding: %s\r\n" % coding.encode()
            writer.write(head + b"transfer-encoding: chunked\r\n\r\n")
            for at in range(0, len(body), size):
                writer.write(chunk(body[at : at + size]))
                await asyncio.sleep(0)
            writer.write(chunk(b""))
            assert (await read_answer(reader)).status == 200

    run(test)
    assert json.loads(seen[0].body)["model"] == "m"


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/m/chat/completions"])
@pytest.mark.parametrize("coding", ["br", "compress", "gzip, br", "zstd;q=1", "aws-chunked", "x" * 5000])
def test_other_codings_are_rejected_with_those_that_are_accepted(coding: str, path: str) -> None:
    answer, _, here = ask(compressed(BODY, coding, path))
    assert (answer.status, answer.code) == (415, "encoding_not_supported")
    assert answer.header("accept-encoding") == "gzip, deflate, zstd, identity"
    assert coding.rsplit(", ", maxsplit=1)[-1][:40] in answer.json["error"]["message"]
    assert here.supervisor.asked == []


def test_more_codings_than_anybody_needs_are_rejected() -> None:
    answer, *_ = ask(compressed(BODY, ",".join(["gzip"] * 1000)))
    assert (answer.status, answer.code) == (415, "encoding_not_supported")


DAMAGED: dict[str, Callable[[bytes], bytes]] = {
    "garbage": lambda data: b"garbage" + data,
    "truncated": lambda data: data[: len(data) // 2],
    "without its end": lambda data: data[:-1],
    "with more after it": lambda data: data + b"garbage",
    "plain": lambda _: BODY,
    "one byte": lambda data: data[:1],
}


@pytest.mark.parametrize("damage", DAMAGED)
@pytest.mark.parametrize("coding", ["gzip", "deflate", "Deflate", "zstd"])
def test_damaged_data_is_rejected_with_the_name_of_its_coding(coding: str, damage: str) -> None:
    answer, _, here = ask(compressed(DAMAGED[damage](CODINGS[coding](BODY)), coding))
    assert (answer.status, answer.code) == (400, "invalid_request")
    assert coding.lower() in answer.json["error"]["message"]
    assert here.supervisor.asked == []


def test_data_that_is_no_json_is_rejected_as_such() -> None:
    answer, *_ = ask(compressed(gzip.compress(b""), "gzip"))
    assert (answer.status, "no body" in answer.json["error"]["message"]) == (400, True)


def repeated(pack: Callable[[bytes], bytes], times: int = 1) -> bytes:
    """A bomb of 100 MB, or of `times` as much."""
    return pack(b" " * (100 * 10**6)) * times


BOMBS: dict[str, Callable[[], tuple[str, bytes]]] = {
    "gzip": lambda: ("gzip", repeated(gzip.compress)),
    "zstd": lambda: ("zstd", repeated(zstd.compress)),
    "deflate": lambda: ("deflate", repeated(raw_deflate)),
    "members": lambda: ("gzip", repeated(gzip.compress, 16)),
    "twice": lambda: ("gzip, zstd", zstd.compress(repeated(gzip.compress, 16))),
    "empty frames inside": lambda: ("gzip, gzip", gzip.compress(gzip.compress(b"") * 200_000)),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_is_rejected_at_the_limit_without_memory_or_a_pause(bomb: str) -> None:
    coding, body = BOMBS[bomb]()
    turns = 0

    async def tick() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    async def test() -> None:
        async with house(models=catalogue(settings=Settings(server=Server(max_body=16 * MIB)))) as here:
            ticking = asyncio.ensure_future(tick())
            before = psutil.Process().memory_info().rss
            answer = await here.ask(compressed(body, coding))
            after = psutil.Process().memory_info().rss
            ticking.cancel()
            assert answer.status == (400 if "empty" in bomb else 413)
            assert after - before < 64 * MIB
            assert here.supervisor.asked == []
            assert (await here.ask(request())).status == 200

    run(test, limit=60.0)
    assert turns > 100  # others were served meanwhile


def test_a_window_larger_than_http_allows_is_not_allocated() -> None:
    packed = zstd.compress(BODY * 3000, options={zstd.CompressionParameter.window_log: 27})
    answer, *_ = ask(compressed(packed, "zstd"))
    assert (answer.status, "zstd" in answer.json["error"]["message"]) == (400, True)


def test_a_body_within_the_limit_is_served_and_one_byte_more_is_not() -> None:
    for extra, status in ((0, 200), (1, 413)):
        body = b'{"model":"m","x":"' + b"x" * (100_000 - 20 + extra) + b'"}'
        assert ask(compressed(gzip.compress(body), "gzip"), max_body=100_000)[0].status == status


def test_any_bytes_in_any_coding_do_no_harm() -> None:
    chance = random.Random(3)

    async def test() -> None:
        async with house() as here:
            for _ in range(400):
                coding = chance.choice(list(CODINGS))
                body = bytearray(CODINGS[coding](SHORT))
                for _ in range(chance.randrange(4)):
                    body[chance.randrange(len(body))] = chance.randrange(256)
                body = body[: chance.randrange(len(body)) or None] if chance.random() < 0.3 else body
                reader, writer = await here.connect()
                writer.write(compressed(bytes(body), coding)[: None if chance.random() < 0.8 else -1])
                if chance.random() < 0.2:
                    writer.transport.abort()
                    continue
                writer.write_eof()
                if status := await reader.readline():
                    assert int(status.split()[1]) in (200, 400, 404), status
                writer.close()
            assert (await here.ask(request())).status == 200

    run(test, limit=60.0)

"""Malformed, truncated, smuggled and odd requests: no 5xx, no traceback, and never a wrong response."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable

import httptools
import pytest

from tests.gateway.engines import Asked, read_request, request
from tests.gateway.gateways import House, house, run

AT_ONCE = 50

Mutation = Callable[[random.Random, bytes], bytes]


def flip(chance: random.Random, raw: bytes) -> bytes:
    at = chance.randrange(len(raw))
    return raw[:at] + bytes([chance.randrange(256)]) + raw[at + 1 :]


def cut_out(chance: random.Random, raw: bytes) -> bytes:
    at = chance.randrange(len(raw))
    return raw[:at] + raw[at + chance.randrange(1, 20) :]


def repeat(chance: random.Random, raw: bytes) -> bytes:
    at = chance.randrange(len(raw))
    end = at + chance.randrange(1, 60)
    return raw[:end] + raw[at:end] * chance.randrange(1, 5) + raw[end:]


def truncate(chance: random.Random, raw: bytes) -> bytes:
    return raw[: chance.randrange(len(raw))]


LINES = """
content-length: 3|content-length: -1|content-length: 99999999999999999999|transfer-encoding: chunked
transfer-encoding: xchunked|transfer-encoding : chunked|transfer-encoding: gzip, chunked|Transfer-Encoding:\tchunked
transfer-encoding: chunked, gzip|content-length : 3|content-length: 3, 3|content-length: +3|
te: trailers|connection: upgrade\r\nupgrade: h2c|connection: close|connection: x-echo|expect: 100-continue
host: a\r\nhost: b|x: y| folded"""
PIECES = [b"\n", b"\r", b"\x00", b" ", b"\t", b"\xff", b": ", b"x-long: " + b"a" * 70_000 + b"\r\n"]
PIECES += [b"\r\n"] + [line.encode() + b"\r\n" for line in LINES.replace("\n", "|").split("|")]
FRAMING = [
    piece for piece in PIECES if b"content-length" in piece or b"ransfer" in piece or b"upgrade" in piece
]

TARGETS = b"* / // ? http://x/v1/models http://x x:443 /v1/../v1/models /v1/%00 /v1/%zz /v1/\xff /v1/m/sleep".split()
TARGETS += [b"", b"/v1/" + b"a" * 5000, b"/v1/models?" + b"q" * 100, b"/v1/m%2fx/y"]

METHODS = [
    b"GET",
    b"HEAD",
    b"CONNECT",
    b"PRI",
    b"OPTIONS",
    b"post",
    b"P0ST",
    b"TRACE",
    b"",
    b" POST",
    b"POST ",
]
VERSIONS = [b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b"HTTP/9", b"HTTP"]


def insert(chance: random.Random, raw: bytes) -> bytes:
    places = [0, raw.index(b"\r\n"), raw.index(b"\r\n\r\n") + 2, chance.randrange(len(raw))]
    at = chance.choice(places)
    return raw[:at] + chance.choice(PIECES) + raw[at:]


def change_target(chance: random.Random, raw: bytes) -> bytes:
    return raw.replace(b"/v1/chat/completions", chance.choice(TARGETS), 1)


def change_line(chance: random.Random, raw: bytes) -> bytes:
    changed = chance.choice(METHODS) + raw[4:]
    return changed.replace(b"HTTP/1.1", chance.choice(VERSIONS), 1)


def chunk_up(chance: random.Random, raw: bytes) -> bytes:
    head, body = raw.split(b"\r\n\r\n", 1)
    size = chance.choice(
        [b"%x" % len(body), b"0x5", b"-1", b"ffffffffffffffff", b"5;x=" + b"y" * 100, b"zz", b""]
    )
    coding = chance.choice([b"\r\ntransfer-encoding: chunked", b"\r\ntransfer-encoding: chunked, chunked"])
    kept = b"\r\n".join(line for line in head.split(b"\r\n") if not line.startswith(b"content-length"))
    end = chance.choice([b"\r\n0\r\n\r\n", b"\r\n0\r\nx: y\r\n\r\n", b"\n0\n\n", b"", b"0\r\n\r\n"])
    return (kept if chance.random() < 0.7 else head) + coding + b"\r\n\r\n" + size + b"\r\n" + body + end


def smuggle(chance: random.Random, raw: bytes) -> bytes:
    """A complete request in the body of another, whose head has another header about the body's length or coding."""
    hidden = request(extra="x-echo: hidden\r\nx-request-id: hidden\r\n")
    host, name = b"host: localhost\r\n", raw.split(b"x-echo: ")[1].split(b"\r\n")[0]
    outer = request(b"0\r\n\r\n" + hidden, extra=f"x-echo: {name.decode()}\r\n")
    return outer.replace(host, host + chance.choice(FRAMING), 1)


MUTATIONS: list[Mutation] = [flip, cut_out, repeat, truncate, insert, change_target, change_line, chunk_up]


class Responses:
    """The responses on one connection."""

    def __init__(self) -> None:
        self.found: list[tuple[int, dict[bytes, bytes], bytes]] = []
        self._parser = httptools.HttpResponseParser(self)

    def feed(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self._headers: dict[bytes, bytes] = {}
        self._body = b""

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.lower()] = value

    def on_body(self, data: bytes) -> None:
        self._body += data

    def on_message_complete(self) -> None:
        if self._parser.get_status_code() != 100:
            self.found.append((self._parser.get_status_code(), self._headers, self._body))


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: set[str]) -> None:
    """An engine that responds with the request's mark."""
    while True:
        asked: Asked = await read_request(reader)
        mark = (asked.header("x-echo") or "").encode()
        seen.add(mark.decode("latin-1"))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(mark) + mark)


async def exchange(here: House, chance: random.Random, name: str) -> None:
    """An odd request, then a good one on the same connection, which must get its own response or none."""
    raw = request(extra=f"x-echo: odd-{name}\r\nx-request-id: odd-{name}\r\n")
    if chance.random() < 0.1:
        raw = smuggle(chance, raw)
    else:
        for _ in range(chance.choice([1, 1, 1, 2, 3])):
            raw = chance.choice(MUTATIONS)(chance, raw) or raw
            if b"\r\n\r\n" not in raw:
                break
    reader, writer = await asyncio.open_connection("127.0.0.1", here.port, limit=2**20)
    responses = Responses()
    good = f"good-{name}".encode()
    with contextlib.suppress(ConnectionError, TimeoutError, httptools.HttpParserError):
        if chance.random() < 0.3:
            at = chance.randrange(len(raw) + 1)
            writer.write(raw[:at])
            await asyncio.sleep(0)
            raw = raw[at:]
        writer.write(raw + request(extra=f"x-echo: {good.decode()}\r\nx-request-id: {good.decode()}\r\n"))
        async with asyncio.timeout(0.2):
            while not any(headers.get(b"x-request-id") == good for _, headers, _ in responses.found):
                data = await reader.read(65536)
                if not data:
                    break
                responses.feed(data)
    writer.transport.abort()
    for status, headers, body in responses.found:
        assert status < 500 or status == 501, (name, status, body)
        if headers.get(b"x-request-id") == good and body.startswith((b"odd-", b"good-")):
            assert body == good, (name, status, body)


def attack(count: int, seed: int, caplog: pytest.LogCaptureFixture) -> None:
    seen: set[str] = set()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await echo(reader, writer, seen)

    async def some(here: House, first: int) -> None:
        chance = random.Random(f"{seed}.{first}")
        for number in range(first, count, AT_ONCE):
            await exchange(here, chance, str(number))

    async def test() -> None:
        async with house(script) as here:
            await asyncio.gather(*(some(here, first) for first in range(AT_ONCE)))
            reader, writer = await here.connect()
            writer.write(request(extra="x-echo: last\r\n"))
            assert b"last" in await reader.readuntil(b"last")

    with caplog.at_level(logging.WARNING):
        run(test, limit=1200.0)
    assert "hidden" not in seen
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


def test_two_thousand_malformed_requests_do_no_harm(caplog: pytest.LogCaptureFixture) -> None:
    attack(2000, 1, caplog)


@pytest.mark.slow
def test_a_hundred_and_fifty_thousand_malformed_requests_do_no_harm(caplog: pytest.LogCaptureFixture) -> None:
    attack(150_000, 2, caplog)

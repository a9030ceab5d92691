"""Engines that hang, send half a body or a hundred megabytes cost the others nothing, and are counted."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from sparkd.engines.engine import UnixAddress
from sparkd.metrics.engine_scrape import MAX_TEXT, EngineScrape
from sparkd.metrics.shared_work import SharedWork
from sparkd.upstream.client import Upstream
from tests.gateway.engines import Asked, Engine, Script, answering, chunk, read_request
from tests.gateway.gateways import run
from tests.metrics.records import samples

TEXT = b"# TYPE vllm:num_requests_running gauge\nvllm:num_requests_running 1\n"


def answer(body: bytes, status: str = "200 OK", length: int | None = None, extra: bytes = b"") -> bytes:
    head = f"HTTP/1.1 {status}\r\ncontent-length: {len(body) if length is None else length}\r\n".encode()
    return head + extra + b"\r\n" + body


def sending(*pieces: bytes, then_hang: bool = False) -> Script:
    """An engine that sends this, and closes the connection or not."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        if then_hang:
            await reader.read()

    return script


def endless() -> Script:
    """An engine whose metrics do not end."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        while True:
            writer.write(chunk(b"a 1\n" * 16384))
            await writer.drain()

    return script


class Scraped:
    """The result of one scrape of several engines."""

    def __init__(self) -> None:
        self.errors: Counter[str] = Counter()
        self.scraped: list[str] = []
        self.text = ""

    async def scrape(self, folder: Path, seconds: float = 60.0, **scripts: Script) -> dict[str, float]:
        async with AsyncExitStack() as stack:
            engines = {
                name: await stack.enter_async_context(Engine(folder / f"{name}.sock", script))
                for name, script in scripts.items()
            }
            upstreams = {name: engine.upstream for name, engine in engines.items()}
            self.text = (await EngineScrape(lambda: upstreams, self._count, timeout=seconds).run()).decode()
            for upstream in upstreams.values():
                await upstream.close()
        return samples(self.text)

    def _count(self, model: str, is_error: bool) -> None:
        self.scraped.append(model)
        self.errors[model] += is_error


BAD: dict[str, tuple[Script, str]] = {
    "closes": (sending(), "disconnected"),
    "half a body": (sending(answer(TEXT, length=1000)), ""),
    "half a chunked body": (sending(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n40\r\na 1\n"), ""),
    "half a text": (sending(answer(TEXT[:-9])), "incomplete"),
    "garbage": (sending(b"\x00\x01garbage\r\n\r\n"), ""),
    "an error": (answering(answer(b"oops\n", "500 Internal Server Error")), "status 500"),
    "no access": (answering(answer(b"no\n", "401 Unauthorized")), "status 401"),
    "html": (answering(answer(b"<html></html>\n")), "text format"),
    "compressed": (
        answering(answer(b"\x1f\x8b\x08\x00\n", extra=b"content-encoding: gzip\r\n")),
        "text format",
    ),
    "announces 100 MB": (sending(answer(b"", length=100_000_000), then_hang=True), "longer than 4 MiB"),
    "endless": (endless(), "longer than 4 MiB"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_engine_is_counted_and_logged_once_and_the_others_are_served(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    script, reason = BAD[name]

    async def scrape() -> None:
        scraped = Scraped()
        with caplog.at_level(logging.INFO):
            found = await scraped.scrape(tmp_path, bad=script, good=answering(answer(TEXT)))
        assert found['vllm:num_requests_running{model_name="good"}'] == 1.0
        assert found['sparkd_engine_up{model_name="bad"}'] == 0.0
        assert scraped.errors == {"bad": 1, "good": 0}
        [logged] = [each.getMessage() for each in caplog.records if "metrics of model" in each.getMessage()]
        assert '"bad"' in logged
        assert reason in logged

    run(scrape, 60.0)


def test_engines_that_hang_are_given_up_together(tmp_path: Path) -> None:
    """Twenty of them take as long as one: their time limits run at once. The limit of the test says so, too."""
    hanging = {f"hangs-{number}": sending(then_hang=True) for number in range(20)}
    slow = sending(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n", b"a 1\n", then_hang=True)

    async def scrape() -> None:
        scraped = Scraped()
        found = await scraped.scrape(tmp_path, 1.5, good=answering(answer(TEXT)), slow=slow, **hanging)
        assert found['vllm:num_requests_running{model_name="good"}'] == 1.0
        assert scraped.errors["slow"] == 1
        assert sum(scraped.errors.values()) == 21

    run(scrape, 25.0)


def test_an_engine_without_metrics_is_no_error(tmp_path: Path) -> None:
    async def scrape() -> None:
        scraped = Scraped()
        without = answering(answer(b"{}", "404 Not Found"))
        found = await scraped.scrape(tmp_path, without=without, good=answering(answer(TEXT)))
        assert scraped.errors == {"without": 0, "good": 0}
        assert 'sparkd_engine_up{model_name="without"}' not in found

    run(scrape)


def test_an_engine_that_is_gone_is_an_error(tmp_path: Path) -> None:
    async def scrape() -> None:
        found = Counter[str]()
        upstreams = {"gone": Upstream(UnixAddress(str(tmp_path / "gone.sock")))}
        body = await EngineScrape(lambda: upstreams, lambda model, bad: found.update({model: bad})).run()
        assert found == {"gone": 1}
        assert b'sparkd_engine_up{model_name="gone"} 0' in body

    run(scrape)


def test_the_engine_is_asked_for_plain_text_and_nothing_of_a_client_reaches_it(tmp_path: Path) -> None:
    asked: list[Asked] = []

    async def scrape() -> None:
        await Scraped().scrape(tmp_path, m=answering(answer(TEXT), asked=asked))
        assert [each.line for each in asked] == ["GET /metrics HTTP/1.1"]
        assert dict(asked[0].headers) == {"host": "localhost", "accept": "text/plain;version=0.0.4"}

    run(scrape)


def test_a_text_of_the_largest_size_is_read(tmp_path: Path) -> None:
    line = b'a{x="%07d"} 1\n'
    text = b"".join(line % number for number in range(20_000))
    assert len(text) < MAX_TEXT

    async def scrape() -> None:
        scraped = Scraped()
        await scraped.scrape(tmp_path, big=answering(answer(text)))
        assert scraped.text.count("\na{") == 20_000 or scraped.errors == {"big": 1}  # on a slow machine

    run(scrape, 60.0)


def test_scrapes_at_the_same_time_share_one_and_go_on_if_one_leaves() -> None:
    async def share() -> None:
        release, runs = asyncio.Event(), []

        async def work() -> int:
            runs.append(1)
            await release.wait()
            return len(runs)

        shared = SharedWork(work)
        waiting = [asyncio.create_task(shared.get()) for _ in range(10)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.sleep(0)
        release.set()
        assert await asyncio.gather(*waiting[1:]) == [1] * 9
        assert await shared.get() == 2

    run(share)

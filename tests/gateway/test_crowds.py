"""Clients that do nothing, or hardly anything: they cost the others nothing, and are sent away in time."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import psutil
import pytest

from sparkd.catalog.quantities import MIB
from tests.gateway.engines import OK, answering, read_answer, request
from tests.gateway.gateways import house, until

SERVER = """
import asyncio, uvloop
from tests.gateway.test_crowds import serve
uvloop.run(serve({head_timeout}, {keep_alive}))
"""


async def serve(head_timeout: float, keep_alive: float) -> None:
    """A gateway and its engine, in a process of their own so that they can be measured."""
    async with house(answering(OK), head_timeout=head_timeout, keep_alive=keep_alive) as here:
        print(here.port, flush=True)
        await asyncio.Event().wait()


@contextlib.contextmanager
def server(head_timeout: float, keep_alive: float) -> Iterator[tuple[int, psutil.Process]]:
    """The port and the process of a gateway."""
    code = SERVER.format(head_timeout=head_timeout, keep_alive=keep_alive)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline()), psutil.Process(process.pid)
        finally:
            process.kill()


@dataclass
class Crowd:
    """Connections that were opened, and when (seconds after that) each was closed by the server."""

    port: int
    pace: float
    there: int = 0
    connecting: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(100))
    closed_after: dict[str, list[float]] = field(default_factory=lambda: {"idle": [], "slow": []})

    async def idle(self) -> None:
        """One request, then nothing."""
        reader, writer = await self._connect()
        writer.write(b"GET /healthz HTTP/1.1\r\n\r\n")
        await read_answer(reader)
        await self._until_closed("idle", reader, writer)

    async def slow(self, piece: bytes) -> None:
        """A head that never ends, one piece after another."""
        reader, writer = await self._connect()
        writer.write(b"POST /v1/chat/completions HTTP/1.1\r\n" if b":" in piece else b"POST /")
        sending = asyncio.ensure_future(self._send(writer, piece))
        await self._until_closed("slow", reader, writer)
        sending.cancel()

    async def _send(self, writer: asyncio.StreamWriter, piece: bytes) -> None:
        while True:
            await asyncio.sleep(self.pace)
            writer.write(piece)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        async with self.connecting:
            return await asyncio.open_connection("127.0.0.1", self.port, limit=1024)

    async def _until_closed(
        self, kind: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        began = time.monotonic()
        self.there += 1
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
        self.closed_after[kind].append(time.monotonic() - began)
        writer.close()


async def median_of(port: int, requests: int) -> float:
    """The median time of a small request, in seconds."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    times = []
    for _ in range(requests):
        began = time.perf_counter()
        writer.write(request())
        assert (await read_answer(reader)).status == 200
        times.append(time.perf_counter() - began)
    writer.close()
    return statistics.median(times)


async def scene(idle: int, slow: int, head_timeout: float, keep_alive: float, pace: float) -> None:
    with server(head_timeout, keep_alive) as (port, process):
        alone = min([await median_of(port, 200) for _ in range(3)])
        await asyncio.sleep(0.1)
        descriptors = process.num_fds()
        crowd = Crowd(port, pace)
        members = [asyncio.ensure_future(crowd.idle()) for _ in range(idle)]
        pieces = (b"x-header: 1\r\n", b"0123456789")
        members += [asyncio.ensure_future(crowd.slow(pieces[n % 2])) for n in range(slow)]
        await until(lambda: crowd.there == idle + slow, within=60.0)
        await until(lambda: process.num_fds() >= descriptors + idle + slow)
        among_them = min([await median_of(port, 200) for _ in range(3)])
        memory = process.memory_info().rss
        await asyncio.gather(*members)
        assert len(crowd.closed_after["idle"]) == idle
        assert len(crowd.closed_after["slow"]) == slow
        await until(lambda: process.num_fds() <= descriptors)
        assert memory < 100 * MIB
        assert among_them < alone * 2
        assert min(crowd.closed_after["idle"]) > keep_alive * 0.8
        assert min(crowd.closed_after["slow"]) > head_timeout * 0.5


def test_a_small_crowd_costs_the_others_nothing_and_is_sent_away() -> None:
    asyncio.run(asyncio.wait_for(scene(200, 50, head_timeout=3.0, keep_alive=4.0, pace=0.1), 60))


@pytest.mark.slow
def test_five_thousand_idle_and_a_thousand_slow_clients_cost_the_others_nothing() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # the server inherits it
    try:
        asyncio.run(asyncio.wait_for(scene(5000, 1000, head_timeout=30.0, keep_alive=75.0, pace=1.0), 300))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

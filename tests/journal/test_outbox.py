"""Datagrams for a busy reader: none is lost while the queue has room, and nobody waits for the reader."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from contextlib import suppress

from sparkd.journal.outbox import FLUSH_TIMEOUT, Outbox

SocketPair = tuple[socket.socket, socket.socket]


def read(sock: socket.socket) -> list[int]:
    numbers = []
    with suppress(BlockingIOError):
        while True:
            numbers.append(int(sock.recv(100)))
    return numbers


def fill_queue(outbox: Outbox, count: int) -> None:
    for number in range(count):
        assert outbox.add(b"%d" % number)
        outbox.send()


def test_everything_arrives_in_order_no_matter_how_slow_the_reader_is(socket_pair: SocketPair) -> None:
    async def scenario() -> None:
        outbox = Outbox(socket_pair[0], 1000)
        fill_queue(outbox, 1000)
        outbox.close()
        got: list[int] = []
        async with asyncio.timeout(60):
            while len(got) < 1000:
                got += read(socket_pair[1])
                await asyncio.sleep(0)
        assert got == list(range(1000))
        await asyncio.sleep(0)
        assert socket_pair[0].fileno() == -1

    asyncio.run(scenario())


def test_a_full_queue_rejects_more_datagrams(socket_pair: SocketPair) -> None:
    outbox = Outbox(socket_pair[0], 3)
    assert [outbox.add(b"1") for _ in range(4)] == [True, True, True, False]


def test_without_an_event_loop_the_next_send_sends_what_waits(socket_pair: SocketPair) -> None:
    outbox = Outbox(socket_pair[0], 1000)
    fill_queue(outbox, 600)
    first = read(socket_pair[1])
    assert len(first) < 600
    while len(first) < 600:
        outbox.send()
        first += read(socket_pair[1])
    assert first == list(range(600))


def test_an_event_loop_that_has_ended_is_replaced_by_the_next(socket_pair: SocketPair) -> None:
    outbox = Outbox(socket_pair[0], 1000)

    async def fill() -> None:
        fill_queue(outbox, 600)

    async def drain() -> None:
        outbox.send()
        got: list[int] = []
        async with asyncio.timeout(60):
            while len(got) < 600:
                got += read(socket_pair[1])
                await asyncio.sleep(0)

    asyncio.run(fill())
    asyncio.run(drain())


def test_flush_waits_for_a_busy_reader_but_not_for_one_that_never_reads(
    socket_pair: SocketPair,
) -> None:
    outbox = Outbox(socket_pair[0], 1000)
    fill_queue(outbox, 600)
    began = time.monotonic()
    outbox.flush()
    assert 0.9 * FLUSH_TIMEOUT < time.monotonic() - began < FLUSH_TIMEOUT + 60
    got: list[int] = []
    socket_pair[1].settimeout(60)
    reader = threading.Thread(target=lambda: got.extend(int(socket_pair[1].recv(100)) for _ in range(600)))
    reader.start()
    while reader.is_alive():
        outbox.flush()
    assert got == list(range(600))


def test_flush_does_not_wait_for_a_reader_that_reads_only_now_and_then(
    socket_pair: SocketPair,
) -> None:
    outbox = Outbox(socket_pair[0], 1000)
    fill_queue(outbox, 1000)
    over = threading.Event()

    def read_slowly() -> None:
        while not over.wait(0.05):
            with suppress(BlockingIOError):
                socket_pair[1].recv(100)

    reader = threading.Thread(target=read_slowly)
    reader.start()
    began = time.monotonic()
    outbox.flush()
    over.set()
    reader.join()
    assert time.monotonic() - began < FLUSH_TIMEOUT + 60


def test_a_datagram_that_is_rejected_does_not_block_the_others(socket_pair: SocketPair) -> None:
    outbox = Outbox(socket_pair[0], 10)
    for data in (b"1", b"x" * 10_000_000, b"2"):
        assert outbox.add(data)
    outbox.flush()
    assert read(socket_pair[1]) == [1, 2]


def test_an_unreachable_reader_loses_only_its_own_datagrams(socket_pair: SocketPair) -> None:
    socket_pair[1].close()
    outbox = Outbox(socket_pair[0], 10)
    fill_queue(outbox, 100)
    outbox.close()
    assert socket_pair[0].fileno() == -1

"""Datagrams for a reader that is busy: none is lost that there is room for, and nobody waits for it."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from contextlib import suppress

from sparkd.journal.outbox import LAST_WORDS, Outbox

Doors = tuple[socket.socket, socket.socket]


def read(door: socket.socket) -> list[int]:
    found = []
    with suppress(BlockingIOError):
        while True:
            found.append(int(door.recv(100)))
    return found


def filled(outbox: Outbox, count: int) -> None:
    for number in range(count):
        assert outbox.add(b"%d" % number)
        outbox.send()


def test_everything_comes_in_order_however_slow_the_reader_is(doors: Doors) -> None:
    async def scene() -> None:
        outbox = Outbox(doors[0], 1000)
        filled(outbox, 1000)
        outbox.close()
        got: list[int] = []
        async with asyncio.timeout(5):
            while len(got) < 1000:
                got += read(doors[1])
                await asyncio.sleep(0)
        assert got == list(range(1000))
        await asyncio.sleep(0)
        assert doors[0].fileno() == -1

    asyncio.run(scene())


def test_more_than_there_is_room_for_is_not_taken(doors: Doors) -> None:
    outbox = Outbox(doors[0], 3)
    assert [outbox.add(b"1") for _ in range(4)] == [True, True, True, False]


def test_without_an_event_loop_what_waits_goes_with_what_comes_next(doors: Doors) -> None:
    outbox = Outbox(doors[0], 1000)
    filled(outbox, 600)
    first = read(doors[1])
    assert len(first) < 600
    while len(first) < 600:
        outbox.send()
        first += read(doors[1])
    assert first == list(range(600))


def test_a_loop_that_has_ended_is_replaced_by_the_next(doors: Doors) -> None:
    outbox = Outbox(doors[0], 1000)

    async def fill() -> None:
        filled(outbox, 600)

    async def drain() -> None:
        outbox.send()
        got: list[int] = []
        async with asyncio.timeout(5):
            while len(got) < 600:
                got += read(doors[1])
                await asyncio.sleep(0)

    asyncio.run(fill())
    asyncio.run(drain())


def test_the_end_of_the_program_waits_for_a_busy_reader_and_not_for_one_that_never_reads(
    doors: Doors,
) -> None:
    outbox = Outbox(doors[0], 1000)
    filled(outbox, 600)
    began = time.monotonic()
    outbox.flush()
    assert 0.9 * LAST_WORDS < time.monotonic() - began < LAST_WORDS + 5
    got: list[int] = []
    doors[1].settimeout(10)
    reader = threading.Thread(target=lambda: got.extend(int(doors[1].recv(100)) for _ in range(600)))
    reader.start()
    while reader.is_alive():
        outbox.flush()
    assert got == list(range(600))


def test_the_end_of_the_program_does_not_wait_for_a_reader_that_takes_one_now_and_then(doors: Doors) -> None:
    outbox = Outbox(doors[0], 1000)
    filled(outbox, 1000)
    over = threading.Event()

    def dawdle() -> None:
        while not over.wait(0.05):
            with suppress(BlockingIOError):
                doors[1].recv(100)

    reader = threading.Thread(target=dawdle)
    reader.start()
    began = time.monotonic()
    outbox.flush()
    over.set()
    reader.join()
    assert time.monotonic() - began < LAST_WORDS + 5


def test_one_that_is_refused_at_the_end_does_not_keep_back_the_others(doors: Doors) -> None:
    outbox = Outbox(doors[0], 10)
    for data in (b"1", b"x" * 10_000_000, b"2"):
        assert outbox.add(data)
    outbox.flush()
    assert read(doors[1]) == [1, 2]


def test_a_reader_that_has_gone_costs_what_was_meant_for_it_alone(doors: Doors) -> None:
    doors[1].close()
    outbox = Outbox(doors[0], 10)
    filled(outbox, 100)
    outbox.close()
    assert doors[0].fileno() == -1

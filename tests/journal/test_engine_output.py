"""An engine's lines on their way into the journal; the journal here is the other end of a socket."""

from __future__ import annotations

import asyncio
import socket
import time
from contextlib import suppress

import pytest

from sparkd.journal.engine_output import EngineJournal, engine_journal, priority
from sparkd.processes.log import LONGEST_LINE, Log

Doors = tuple[socket.socket, socket.socket]


def arrived(journal: socket.socket) -> list[dict[str, str]]:
    """The entries that are there, each with its fields."""
    found = []
    with suppress(BlockingIOError):
        while entry := journal.recv(1 << 20):
            found.append(dict(line.split("=", 1) for line in entry.decode().splitlines()))
    return found


async def all_of(journal: socket.socket, count: int) -> list[dict[str, str]]:
    """That many entries, read as slowly as a busy journal does."""
    found: list[dict[str, str]] = []
    async with asyncio.timeout(5):
        while len(found) < count:
            found += arrived(journal)
            await asyncio.sleep(0.001)
    return found


def test_each_line_is_an_entry_with_the_models_fields_and_its_own_priority(doors: Doors) -> None:
    async def scene() -> None:
        lines = EngineJournal(doors[0], {"SYSLOG_IDENTIFIER": "vllm-qwen", "MODEL": "qwen"})
        lines.write(["WARNING 11-22 slow", "ready = yes"])
        both = {"SYSLOG_IDENTIFIER": "vllm-qwen", "MODEL": "qwen"}
        assert arrived(doors[1]) == [
            both | {"PRIORITY": "4", "MESSAGE": "WARNING 11-22 slow"},
            both | {"PRIORITY": "6", "MESSAGE": "ready = yes"},
        ]
        lines.close()

    asyncio.run(scene())


def test_what_a_busy_journal_does_not_take_at_once_is_sent_when_it_does(doors: Doors) -> None:
    async def scene() -> None:
        lines = EngineJournal(doors[0], {})
        lines.write([f"line {number}" for number in range(700)])
        assert len(arrived(doors[1])) < 700
        lines.write(["last"])
        lines.close()  # the engine has died: its last words come all the same
        assert (await all_of(doors[1], 600))[-1]["MESSAGE"] == "last"
        assert doors[0].fileno() == -1

    asyncio.run(scene())


def test_a_flood_is_cut_and_counted_and_costs_the_event_loop_little(doors: Doors) -> None:
    async def scene() -> None:
        lines = EngineJournal(doors[0], {}, rate=10.0, burst=20.0)
        began = time.monotonic()
        for _ in range(100):
            lines.write(["flood"] * 1000)
        assert time.monotonic() - began < 1.0
        lines.close()
        *some, last = [entry["MESSAGE"] for entry in await all_of(doors[1], 20)]
        assert some.count("flood") >= 19
        await asyncio.sleep(0.05)
        last = (arrived(doors[1]) or [{"MESSAGE": last}])[-1]["MESSAGE"]
        assert last.endswith(" lines are not in the journal; `sparkctl logs` has them]")
        assert int(last.split()[1]) > 99_900

    asyncio.run(scene())


def test_behind_a_gap_a_flood_is_a_notice_a_second_and_not_one_before_each_line(doors: Doors) -> None:
    async def scene() -> None:
        lines = EngineJournal(doors[0], {}, rate=100.0, burst=100.0)
        for _ in range(30):
            lines.write(["flood"] * 200)
            await asyncio.sleep(0.01)
        told = [entry["MESSAGE"] for entry in arrived(doors[1])]
        told += [entry["MESSAGE"] for entry in await all_of(doors[1], 100 - len(told))]
        assert sum(line.startswith("[sparkd: ") for line in told) <= 1

    asyncio.run(scene())


def test_a_journal_that_has_gone_holds_nobody_up(doors: Doors) -> None:
    async def scene() -> None:
        lines = EngineJournal(doors[0], {})
        doors[1].close()
        lines.write(["unheard"] * 200)
        await asyncio.sleep(0.01)
        lines.close()
        await asyncio.sleep(0.01)
        assert doors[0].fileno() == -1

    asyncio.run(scene())


def test_a_log_gives_its_lines_to_the_journal_cut_as_in_the_file_and_without_progress(doors: Doors) -> None:
    async def scene() -> None:
        log = Log(None, journal=EngineJournal(doors[0], {}))
        log.feed(b"10 %\r50 %\r" + b"99 %\r\n" + b"x" * (LONGEST_LINE + 5) + b"\n\x1b[31mred\n")
        told = [entry["MESSAGE"] for entry in arrived(doors[1])]
        assert told == ["99 %", "x" * LONGEST_LINE + " [sparkd: and 5 bytes]", "\u241b[31mred"]
        log.close()

    asyncio.run(scene())


def test_outside_systemd_there_is_no_journal() -> None:
    async def scene() -> None:
        assert engine_journal("vllm", "qwen") is None

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("line", "severity"),
    [
        ("(APIServer pid=7) INFO 11-22 05:51:05 [api_server.py:1] Starting", 6),
        ("(EngineCore_DP0 pid=7) WARNING 11-22 05:51:05 [x.py:1] slow", 4),
        ("ERROR 11-22 05:51:05 [core.py:1] Traceback (most recent call last):", 3),
        ("CRITICAL: no", 2),
        ("(APIServer pid=7) DEBUG 11-22 x", 7),
        ("[ERROR] llama.cpp", 3),
        ("INFORMATION about it", 6),
        ("Traceback (most recent call last):", 6),
        ("there was an ERROR somewhere", 6),
        ("", 6),
        ('(APIServer pid=7) INFO:     127.0.0.1:0 - "POST /v1/chat/completions HTTP/1.1" 200 OK', 7),
        ('INFO:     - "GET /metrics HTTP/1.1" 200 OK', 7),
        ('INFO:     - "POST /v1/chat/completions HTTP/1.1" 500 Internal Server Error', 6),
    ],
)
def test_a_line_is_as_bad_as_it_says(line: str, severity: int) -> None:
    assert priority(line) == severity

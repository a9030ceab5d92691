"""An engine's output in the journal. Here the journal is the other end of a socket pair."""

from __future__ import annotations

import asyncio
import socket
import time
from contextlib import suppress

import pytest

from sparkd.journal.engine_output import EngineJournal, open_engine_journal, parse_priority
from sparkd.processes.log import MAX_LINE, Log

SocketPair = tuple[socket.socket, socket.socket]


def read_entries(journal: socket.socket) -> list[dict[str, str]]:
    """Read the waiting entries, each as a dict of its fields."""
    entries = []
    with suppress(BlockingIOError):
        while entry := journal.recv(1 << 20):
            entries.append(dict(line.split("=", 1) for line in entry.decode().splitlines()))
    return entries


async def wait_for_entries(journal: socket.socket, count: int) -> list[dict[str, str]]:
    """Read this many entries, as slowly as a busy journal does."""
    entries: list[dict[str, str]] = []
    async with asyncio.timeout(60):
        while len(entries) < count:
            entries += read_entries(journal)
            await asyncio.sleep(0.001)
    return entries


def test_each_line_is_an_entry_with_the_models_fields_and_its_own_priority(socket_pair: SocketPair) -> None:
    async def scenario() -> None:
        lines = EngineJournal(socket_pair[0], {"SYSLOG_IDENTIFIER": "vllm-qwen", "MODEL": "qwen"})
        lines.write(["WARNING 11-22 slow", "ready = yes"])
        both = {"SYSLOG_IDENTIFIER": "vllm-qwen", "MODEL": "qwen"}
        assert read_entries(socket_pair[1]) == [
            both | {"PRIORITY": "4", "MESSAGE": "WARNING 11-22 slow"},
            both | {"PRIORITY": "6", "MESSAGE": "ready = yes"},
        ]
        lines.close()

    asyncio.run(scenario())


def test_lines_that_a_busy_journal_does_not_accept_at_once_are_sent_later(socket_pair: SocketPair) -> None:
    async def scenario() -> None:
        lines = EngineJournal(socket_pair[0], {})
        lines.write([f"line {number}" for number in range(700)])
        assert len(read_entries(socket_pair[1])) < 700
        lines.write(["last"])
        lines.close()  # the engine has exited: its last lines still arrive
        assert (await wait_for_entries(socket_pair[1], 600))[-1]["MESSAGE"] == "last"
        assert socket_pair[0].fileno() == -1

    asyncio.run(scenario())


def test_a_flood_is_limited_and_counted_and_costs_the_event_loop_little_time(socket_pair: SocketPair) -> None:
    async def scenario() -> None:
        lines = EngineJournal(socket_pair[0], {}, rate=10.0, burst=20.0)
        began = time.thread_time()
        for _ in range(100):
            lines.write(["flood"] * 1000)
        assert time.thread_time() - began < 1.0
        lines.close()
        *some, last = [entry["MESSAGE"] for entry in await wait_for_entries(socket_pair[1], 20)]
        assert some.count("flood") >= 19
        await asyncio.sleep(0.05)
        last = (read_entries(socket_pair[1]) or [{"MESSAGE": last}])[-1]["MESSAGE"]
        assert last.endswith(" lines are not in the journal; `sparkctl logs` has them]")
        assert int(last.split()[1]) > 99_900

    asyncio.run(scenario())


def test_after_a_gap_a_flood_causes_one_notice_per_second_not_one_per_line(
    socket_pair: SocketPair,
) -> None:
    async def scenario() -> None:
        lines = EngineJournal(socket_pair[0], {}, rate=100.0, burst=100.0)
        for _ in range(30):
            lines.write(["flood"] * 200)
            await asyncio.sleep(0.01)
        messages = [entry["MESSAGE"] for entry in read_entries(socket_pair[1])]
        messages += [
            entry["MESSAGE"] for entry in await wait_for_entries(socket_pair[1], 100 - len(messages))
        ]
        assert sum(line.startswith("[sparkd: ") for line in messages) <= 1

    asyncio.run(scenario())


def test_a_journal_that_is_unreachable_delays_nobody(socket_pair: SocketPair) -> None:
    async def scenario() -> None:
        lines = EngineJournal(socket_pair[0], {})
        socket_pair[1].close()
        lines.write(["lost"] * 200)
        await asyncio.sleep(0.01)
        lines.close()
        await asyncio.sleep(0.01)
        assert socket_pair[0].fileno() == -1

    asyncio.run(scenario())


def test_a_log_sends_its_lines_to_the_journal_shortened_as_in_the_file_and_without_progress(
    socket_pair: SocketPair,
) -> None:
    async def scenario() -> None:
        log = Log(None, journal=EngineJournal(socket_pair[0], {}))
        log.feed(b"10 %\r50 %\r" + b"99 %\r\n" + b"x" * (MAX_LINE + 5) + b"\n\x1b[31mred\n")
        messages = [entry["MESSAGE"] for entry in read_entries(socket_pair[1])]
        assert messages == ["99 %", "x" * MAX_LINE + " [sparkd: 5 more bytes]", "\u241b[31mred"]
        log.close()

    asyncio.run(scenario())


def test_outside_systemd_there_is_no_journal() -> None:
    async def scenario() -> None:
        assert open_engine_journal("vllm", "qwen") is None

    asyncio.run(scenario())


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
def test_a_lines_priority_follows_its_level_name(line: str, severity: int) -> None:
    assert parse_priority(line) == severity

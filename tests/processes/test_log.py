"""Output becomes lines in memory, in a file on a disk that may be full, and for followers that may be slow."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from sparkd.processes.log import MAX_FOLLOWER_LINES, MAX_LINE, MAX_LINES_PER_READ, Log
from sparkd.processes.log_file import LogFile, rotated_path


def feed_log(*pieces: bytes, keep: int = 2000) -> list[str]:
    log = Log(None, keep=keep)
    for piece in pieces:
        log.feed(piece)
    log.close()
    return log.tail(10**7)


def test_lines_do_not_depend_on_how_the_output_is_split_into_pieces() -> None:
    text = "uno\ndós\n\nห้า\r\n四つ"
    data = text.encode()
    expected = ["uno", "dós", "", "ห้า", "四つ"]
    assert feed_log(data) == expected
    assert feed_log(*(bytes([byte]) for byte in data)) == expected
    for offset in range(len(data)):
        assert feed_log(data[:offset], data[offset:]) == expected


def test_invalid_utf_8_is_replaced() -> None:
    assert feed_log(b"a\xffb\n\xe4\xb8\n") == ["a\ufffdb", "\ufffd"]


def test_control_characters_cannot_control_the_readers_terminal() -> None:
    assert feed_log(b"\x1b[2J\x07\tred\x7f\n") == ["␛[2J␇\tred␡"]


def test_an_unfinished_line_is_kept_at_the_end() -> None:
    assert feed_log(b"one\ntw", b"o") == ["one", "two"]


def test_a_very_long_line_is_cut_and_states_how_much_is_missing() -> None:
    lines = feed_log(b"x" * 20_000 + b"\nnext\n")
    assert lines == ["x" * MAX_LINE + f" [sparkd: {20_000 - MAX_LINE} more bytes]", "next"]
    assert feed_log(*[b"x" * 1000] * 20, b"\nnext\n") == lines


def test_memory_keeps_only_the_last_lines() -> None:
    log = Log(None, keep=3)
    log.feed(b"a\nb\nc\nd\n")
    assert log.tail(10) == ["b", "c", "d"]
    assert log.tail(2) == ["c", "d"]
    assert log.tail(0) == []


def test_progress_is_observed_at_once_and_kept_once() -> None:
    seen: list[str] = []
    log = Log(None, observe=seen.append)
    log.feed(b"begin\n\r 0%")
    assert seen == ["begin", " 0%"]
    log.feed(b"\r 50%")
    assert seen[-1] == " 50%"
    log.feed(b"\r100%\n")
    assert seen[-1] == "100%"
    log.feed(b"\rhalf")
    log.close()
    assert log.tail(10) == ["begin", "100%", "half"]


def test_endless_progress_fills_neither_memory_nor_file(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = Log(path)
    for step in range(2000):
        log.feed(b"\rstep %d" % step)
    log.feed(b"\ndone\n")
    log.close()
    assert path.read_text() == "step 1999\ndone\n"


def test_a_carriage_return_at_the_end_of_a_piece_may_be_half_of_a_lines_end() -> None:
    assert feed_log(b"one\r", b"\ntwo\r", b"\n") == ["one", "two"]


def test_the_last_lines_of_a_flood_are_read_and_the_others_counted() -> None:
    count = 20 * MAX_LINES_PER_READ
    lines = feed_log(b"begin\n" + b"y\n" * count + b"rest", keep=5000)
    assert lines[0] == f"[sparkd: {count + 1 - MAX_LINES_PER_READ} lines dropped]"
    assert lines[1:] == ["y"] * MAX_LINES_PER_READ + ["rest"]


def test_a_lasting_flood_is_only_counted_and_the_count_is_exact() -> None:
    pieces = 200
    piece = b"".join(b"%07d\n" % number for number in range(8192))
    lines = feed_log(*[piece] * pieces, b"the end\n", keep=1_000_000)
    notes = [int(line.split()[1]) for line in lines if line.startswith("[sparkd: ")]
    assert sum(notes) + len(lines) - len(notes) == pieces * 8192 + 1
    assert len(lines) < 100_000


def test_dropping_a_part_of_a_line_drops_the_whole_line() -> None:
    log = Log(None)
    log.feed(b"kept\nbroken ")
    log.feed(b"x" * 50_000_000)
    log.feed(b"more")
    asyncio.run(asyncio.sleep(0.01))  # the next bytes are affordable again
    log.feed(b" of it\nwhole\n")
    assert log.tail(10) == ["kept", "[sparkd: 1 lines dropped]", "whole"]


def test_a_follower_gets_the_last_lines_and_then_the_new_ones() -> None:
    async def scenario() -> None:
        log = Log(None)
        log.feed(b"a\nb\nc\n")
        following = log.follow(2)
        assert [await anext(following), await anext(following)] == ["b", "c"]
        waiting = asyncio.ensure_future(anext(following))
        await asyncio.sleep(0)
        log.feed(b"d\n")
        assert await waiting == "d"
        log.feed(b"e\nf")
        log.close()
        assert [line async for line in following] == ["e", "f"]
        assert [line async for line in log.follow(1)] == ["f"]  # a follower that starts late

    asyncio.run(scenario())


def test_a_slow_follower_loses_lines_and_gets_their_number() -> None:
    async def scenario() -> None:
        log = Log(None)
        following = log.follow(0)
        waiting = asyncio.ensure_future(anext(following))
        await asyncio.sleep(0)
        for number in range(MAX_FOLLOWER_LINES + 500):
            log.feed(b"%d\n" % number)
        assert await waiting == "0"
        got = [await anext(following) for _ in range(MAX_FOLLOWER_LINES)]
        assert got[:-1] == [str(number) for number in range(1, MAX_FOLLOWER_LINES)]
        assert got[-1] == "[sparkd: 500 lines dropped]"
        log.feed(b"again\n")
        assert await anext(following) == "again"
        log.close()

    asyncio.run(scenario())


def test_a_follower_that_leaves_is_forgotten() -> None:
    async def scenario() -> None:
        log = Log(None)
        log.feed(b"a\n")
        following = log.follow(1)
        assert await anext(following) == "a"
        await following.aclose()
        assert not log._followers

    asyncio.run(scenario())


def test_the_file_has_every_line_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = Log(path, keep=1)
    log.feed(b"a\nb\n")
    assert path.read_text() == "a\nb\n"
    log.feed("ü\ud7ff".encode())
    log.close()
    log.feed(b"too late\n")
    assert path.read_text() == "a\nb\nü\ud7ff\n"
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_file_that_cannot_be_written_affects_nothing_else(tmp_path: Path) -> None:
    for path in (Path("/dev/full"), tmp_path, tmp_path / "absent/log"):
        log = Log(path)
        log.feed(b"a\n")
        log.close()
        assert log.tail(1) == ["a"]


@pytest.fixture
def limited_file_size() -> Iterator[None]:
    """Limits our files to 64 bytes: the kernel then rejects writes as it does on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.usefixtures("limited_file_size")
def test_once_the_disk_has_room_again_the_file_reports_how_many_lines_are_missing(tmp_path: Path) -> None:
    path = tmp_path / "log"
    file = LogFile(path)
    file.write([f"line {number}" for number in range(6)])
    file.write([f"line {number}" for number in range(6, 12)])  # fits in part
    file.write(["lost"])
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.getrlimit(resource.RLIMIT_FSIZE)[1],) * 2)
    file.write(["back"])
    file.close()
    lines = path.read_text().splitlines()
    complete = [line for line in lines if line.startswith("line ") and line != "line"]
    assert lines[-1] == "back"
    assert lines[-2] == f"[sparkd: {12 - 9 + 1} lines dropped: File too large]"
    assert complete[:9] == [f"line {number}" for number in range(9)]


def test_a_long_log_keeps_its_newest_lines_in_two_files(tmp_path: Path) -> None:
    path = tmp_path / "log"
    file = LogFile(path, limit=1000)
    for number in range(1000):
        file.write([f"line {number}"])
    file.close()
    both = (rotated_path(path).read_text() + path.read_text()).splitlines()
    assert both[-1] == "line 999"
    assert both == [f"line {number}" for number in range(1000 - len(both), 1000)]
    assert 1000 <= len("\n".join(both)) <= 2100
    assert sorted(tmp_path.iterdir()) == [path, rotated_path(path)]


@pytest.mark.parametrize(
    "first", ["one\ntw", "x" * 20000, "one\r\ntwo\r", "\n".join(["flood"] * 5000) + "\ntw"]
)
def test_a_resumed_log_continues_in_the_middle_of_a_line(tmp_path: Path, first: str) -> None:
    rest = "o\nthree\n"
    reference = Log(tmp_path / "reference")
    for piece in (first, rest):
        reference.feed(piece.encode())
    before, after = Log(tmp_path / "resumed"), Log(tmp_path / "resumed")
    before.feed(first.encode())
    after.resume(before.state)
    after.feed(rest.encode())
    for log in (reference, after):
        log.close()
    assert after.tail(100) == reference.tail(100)
    assert (tmp_path / "resumed").read_text() == (tmp_path / "reference").read_text()

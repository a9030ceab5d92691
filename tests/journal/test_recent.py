"""The daemon's last lines in memory: bounds, filters, followers, several threads."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator

import pytest

from sparkd.journal.handler import event
from sparkd.journal.lines import LineFilter, LogLine
from sparkd.journal.recent import LONGEST, RecentLines

logger = logging.getLogger("tests.recent")


@pytest.fixture
def recent() -> Iterator[RecentLines]:
    handler = RecentLines(keep=10)
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(logging.NOTSET)
    logger.propagate = True


def test_a_line_has_the_fields_of_the_journal(recent: RecentLines) -> None:
    logger.warning("It %s.", "failed", extra=event("failed", "qwen", REQUEST_ID="r-1"))
    (line,) = recent.tail(5)
    assert (line.level, line.message) == ("warning", "It failed.")
    assert (line.event, line.model, line.request) == ("failed", "qwen", "r-1")


def test_only_the_newest_lines_are_kept(recent: RecentLines) -> None:
    for number in range(25):
        logger.info("%d", number)
    assert [line.message for line in recent.tail(100)] == [str(number) for number in range(15, 25)]
    assert [line.number for line in recent.tail(2)] == [24, 25]
    assert recent.tail(0) == []


def test_a_trace_is_kept_and_a_long_message_cut(recent: RecentLines) -> None:
    try:
        int("broken")
    except ValueError:
        logger.exception("bug")
    logger.info("x" * (LONGEST + 5))
    trace, long = recent.tail(2)
    assert trace.level == "error"
    assert "ValueError: invalid literal" in trace.message
    assert long.message.endswith("x [5 more characters]")


def test_filters_select_by_level_event_and_model(recent: RecentLines) -> None:
    logger.debug("a")
    logger.info("b", extra=event("ready", "qwen"))
    logger.critical("c", extra=event("crashed", "tiny"))

    def messages(**wanted: str) -> list[str]:
        return [line.message for line in recent.tail(10, LineFilter(**wanted))]  # type: ignore[arg-type]

    assert messages() == ["a", "b", "c"]
    assert messages(level="info") == ["b", "c"]
    assert messages(level="error") == ["c"]
    assert messages(event="ready") == messages(model="qwen") == ["b"]
    assert messages(model="qwen", event="crashed") == []


async def take(lines: list[LogLine], recent: RecentLines, wanted: int, kept: int = 0) -> None:
    async for line in recent.follow(kept, LineFilter()):
        lines.append(line)
        if len(lines) == wanted:
            return


def test_a_follower_gets_the_last_lines_and_those_of_other_threads(recent: RecentLines) -> None:
    async def main() -> list[str]:
        logger.info("before")
        lines: list[LogLine] = []
        following = asyncio.create_task(take(lines, recent, wanted=4, kept=1))
        await asyncio.sleep(0)
        threads = [threading.Thread(target=logger.info, args=(f"thread {n}",)) for n in range(3)]
        for thread in threads:
            thread.start()
        await following
        for thread in threads:
            thread.join()
        return [line.message for line in lines]

    messages = asyncio.run(main())
    assert messages[0] == "before"
    assert sorted(messages[1:]) == ["thread 0", "thread 1", "thread 2"]


def test_a_slow_follower_learns_how_many_lines_it_has_lost(recent: RecentLines) -> None:
    async def main() -> list[str]:
        lines: list[LogLine] = []
        following = asyncio.create_task(take(lines, recent, wanted=11))
        await asyncio.sleep(0)
        for number in range(30):
            logger.info("%d", number)
        await following
        return [line.message for line in lines]

    assert asyncio.run(main()) == ["[20 lines dropped]", *(str(number) for number in range(20, 30))]


def test_a_line_that_is_logged_after_a_readers_loop_has_ended_is_kept(recent: RecentLines) -> None:
    async def leave() -> None:
        following = recent.follow(0, LineFilter())
        task = asyncio.ensure_future(anext(following))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await following.aclose()

    asyncio.run(leave())
    logger.info("after")
    assert [line.message for line in recent.tail(1)] == ["after"]

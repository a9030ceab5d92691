"""One process's output: bytes in, lines out to memory, to a file, and to whoever follows.

Never in the engine's way: what is too much is dropped and counted, and the count is said as a line of its own. An
engine whose output is not read stops inferring at some 800 lines (its pipe is full); one that shouts must not
take the event loop from everybody else.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable
from pathlib import Path
from typing import Final, Protocol

from msgspec import Struct

from sparkd.journal.bucket import Bucket
from sparkd.processes.log_file import LogFile, last_lines

LONGEST_LINE: Final = 8192
"""Bytes of a line that are kept; how many more it had is said."""

LINES_AT_ONCE: Final = 1000
"""Lines read from one piece of output, some 2 ms of work; of a piece with more, the last ones."""

RATE: Final = 4 * 1024 * 1024
"""Cost per second, and at once, of the output that is read line by line; what exceeds it is only counted."""

LINE_COST: Final = 64
"""What a line costs besides its bytes, which cost 1 each. RATE is then some 6 % of a core."""

FOLLOWER_LINES: Final = 1000
"""Lines that wait for one follower; one that reads more slowly loses lines and is told how many."""

VISIBLE: Final = {code: 0x2400 + code for code in range(32) if code != ord("\t")} | {0x7F: 0x2421}
"""Control characters as pictures: an engine's log must not steer its reader's terminal."""


class Sink(Protocol):
    """Where whole lines go besides memory: a file, the journal."""

    def write(self, lines: list[str]) -> None:
        """Take the lines. Never waits and never raises."""
        ...

    def close(self) -> None:
        """Nothing more will come."""
        ...


class Unfinished(Struct, frozen=True, kw_only=True):
    """Where the process is in the middle of a line: the `partial` line, bytes that were `cut` off it, lines that were
    `dropped` and not told yet, and whether what comes next is the rest of one of those."""

    partial: bytes = b""
    cut: int = 0
    dropped: int = 0
    mid_line: bool = False


class Log:
    """The output of one process. Belongs to one event loop; `feed` and `close` are called there.

    `path` is the file the lines go to (None: memory only), `journal` where they go besides, `keep` how many lines
    stay in memory. `observe` gets every line, progress updates (lines that end in a carriage return and are written
    over) included; only the last of those is kept, as on a terminal.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        observe: Callable[[str], None] | None = None,
        journal: Sink | None = None,
        keep: int = 2000,
    ) -> None:
        self.path = path
        places: tuple[Sink | None, ...] = (LogFile(path) if path else None, journal)
        self._sinks = tuple(place for place in places if place is not None)
        self._observe = observe
        self._ring: deque[str] = deque(maxlen=keep)
        self._followers: set[_Follower] = set()
        self._partial = b""
        self._cut = 0
        self._dropped = 0
        self._mid_line = False
        self._bucket = Bucket(RATE, RATE)
        self._closed = False

    def feed(self, data: bytes) -> None:
        """Take what the process wrote. Never waits, never raises for the data's or the disk's sake."""
        if self._closed:
            return
        newlines = data.count(b"\n")
        if not self._bucket.affords(len(data) + LINE_COST * min(newlines, LINES_AT_ONCE)):
            self._drop(data, newlines)
            return
        if newlines > LINES_AT_ONCE:
            surplus, *last = data.rsplit(b"\n", LINES_AT_ONCE + 1)
            self._drop(surplus + b"\n", newlines - LINES_AT_ONCE)
            data = b"\n".join(last)
        self._read(data)

    @property
    def unfinished(self) -> Unfinished:
        """What is not a line yet."""
        return Unfinished(
            partial=self._partial, cut=self._cut, dropped=self._dropped, mid_line=self._mid_line
        )

    def resume(self, unfinished: Unfinished) -> None:
        """Go on where an earlier sparkd's log of the same process stopped."""
        if self.path:
            self._ring.extend(last_lines(self.path, self._ring.maxlen or 0))
        self._partial, self._cut = unfinished.partial, unfinished.cut
        self._dropped, self._mid_line = unfinished.dropped, unfinished.mid_line

    def close(self) -> None:
        """Nothing more will come: keep an unfinished line, end the followers, close the file."""
        if self._closed:
            return
        self._dropped += self._mid_line
        lines = [self._take_note()] if self._dropped else []
        if self._partial:
            lines.append(self._finish(self._partial))
        self._publish(lines)
        self._closed = True
        for follower in self._followers:
            follower.end()
        for sink in self._sinks:
            sink.close()

    def tail(self, lines: int) -> list[str]:
        """Return the last lines, oldest first."""
        return list(self._ring)[-lines:] if lines > 0 else []

    async def follow(self, lines: int) -> AsyncGenerator[str, None]:
        """Yield the last `lines` lines and then every new one, until the log is closed.

        Whoever reads too slowly loses lines and gets one that says how many.
        """
        follower = _Follower(self.tail(lines))
        if self._closed:
            follower.end()
        else:
            self._followers.add(follower)
        try:
            while (line := await follower.next()) is not None:
                yield line
        finally:
            self._followers.discard(follower)

    def _drop(self, data: bytes, newlines: int) -> None:
        """Lose a piece of the output, and what is left of the lines it breaks at both ends."""
        self._dropped += newlines
        self._mid_line = not data.endswith(b"\n")
        self._partial, self._cut = b"", 0

    def _read(self, data: bytes) -> None:
        lines: list[str] = []
        if self._mid_line:
            _, newline, data = data.partition(b"\n")
            self._mid_line = not newline
            self._dropped += bool(newline)
        if self._dropped and not self._mid_line:
            lines.append(self._take_note())
        *whole, self._partial = (self._partial + data).split(b"\n")
        lines.extend(map(self._finish, whole))
        if b"\r" in self._partial:
            self._show_progress()
        if len(self._partial) > LONGEST_LINE:
            self._cut += len(self._partial) - LONGEST_LINE
            self._partial = self._partial[:LONGEST_LINE]
        self._publish(lines)

    def _take_note(self) -> str:
        count, self._dropped = self._dropped, 0
        return dropped(count)

    def _finish(self, line: bytes) -> str:
        """Return the line as a terminal would show it in the end, having observed all of it."""
        line = line.removesuffix(b"\r")
        if b"\r" in line:
            *progress, line = [piece for piece in line.split(b"\r") if piece] or [b""]
            for piece in progress:
                self._tell(_text(piece))
        more, self._cut = self._cut + max(0, len(line) - LONGEST_LINE), 0
        text = _text(line) + (f" [sparkd: and {more} bytes]" if more else "")
        self._tell(text)
        return text

    def _show_progress(self) -> None:
        """Observe updates as they come, as their newline may be minutes away; remember the last one only.

        Its carriage returns stay with it: one at the end may be half of a line's end, and one at the beginning
        says that what follows is progress too.
        """
        text = self._partial.rstrip(b"\r")
        for piece in text.split(b"\r"):
            self._tell(_text(piece))
        self._partial = self._partial[max(text.rfind(b"\r"), 0) :]

    def _tell(self, text: str) -> None:
        if self._observe and text:
            self._observe(text)

    def _publish(self, lines: list[str]) -> None:
        if not lines:
            return
        self._ring.extend(lines)
        for follower in self._followers:
            follower.extend(lines)
        for sink in self._sinks:
            sink.write(lines)


def ended_log(path: Path) -> Log:
    """The log of a process that ended under an earlier sparkd."""
    log = Log(path)
    log.resume(Unfinished())
    log.close()
    return log


class _Follower:
    """A bounded line of lines for one reader."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = deque(lines)
        self._dropped = 0
        self._ended = False
        self._news = asyncio.Event()

    def extend(self, lines: Iterable[str]) -> None:
        for line in lines:
            if self._dropped or len(self._lines) >= FOLLOWER_LINES:
                self._dropped += (
                    1  # until the reader has caught up, so that there is one gap and not hundreds
                )
            else:
                self._lines.append(line)
        self._news.set()

    def end(self) -> None:
        self._ended = True
        self._news.set()

    async def next(self) -> str | None:
        while not self._lines:
            if self._dropped:
                count, self._dropped = self._dropped, 0
                return dropped(count)
            if self._ended:
                return None
            self._news.clear()
            await self._news.wait()
        return self._lines.popleft()


def dropped(count: int) -> str:
    """Return the line that stands for lost ones."""
    return f"[sparkd: {count} lines dropped]"


def _text(line: bytes) -> str:
    text = line[:LONGEST_LINE].decode("utf-8", "replace")
    return text if text.isprintable() else text.translate(VISIBLE)

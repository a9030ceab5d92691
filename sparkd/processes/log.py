"""The log of one process: splits its output into lines for memory, a file, the journal and followers.

The log never delays the engine. Excess output is dropped, and a line reports how much. An engine whose output nobody
reads stops working after some 800 lines, because its pipe is full. An engine that floods its output must not block the
event loop for everybody else.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable
from pathlib import Path
from typing import Final, Protocol

from msgspec import Struct

from sparkd.journal.token_bucket import TokenBucket
from sparkd.processes.log_file import LogFile, read_last_lines

MAX_LINE: Final = 8192
"""Bytes of a line that are kept. The line then states how many more it had."""

MAX_LINES_PER_READ: Final = 1000
"""Lines read from one piece of output, about 2 ms of work. If a piece has more, only its last lines are read."""

RATE: Final = 4 * 1024 * 1024
"""Cost per second, and at once, of output that is read line by line. Excess output is only counted."""

LINE_COST: Final = 64
"""Cost of a line in addition to its bytes, which cost 1 each. RATE is then about 6 % of a core."""

MAX_FOLLOWER_LINES: Final = 1000
"""Lines that may wait for one follower. A slower follower loses lines, and gets a line that states how many."""

CONTROL_PICTURES: Final = {code: 0x2400 + code for code in range(32) if code != ord("\t")} | {0x7F: 0x2421}
"""Control characters and their visible symbols: an engine's log must not control its reader's terminal."""


class Sink(Protocol):
    """Receives complete lines: a file, the journal."""

    def write(self, lines: list[str]) -> None:
        """Write the lines. Never waits and never raises."""
        ...

    def close(self) -> None:
        """Close the sink: the log is complete."""
        ...


class LogState(Struct, frozen=True, kw_only=True):
    """The unfinished part of a log: the `partial` line, the bytes that were `cut` off it, the number of `dropped` lines
    that are not reported yet, and whether the next bytes continue a dropped line (`mid_line`)."""

    partial: bytes = b""
    cut: int = 0
    dropped: int = 0
    mid_line: bool = False


class Log:
    """The output of one process. Belongs to one event loop; call `feed` and `close` there.

    `path` is the log file (None: memory only), `journal` another sink, `keep` the number of lines kept in memory.
    `observe` gets every line, including progress updates (text that ends in a carriage return and is overwritten).
    Only the last of these updates is kept, as on a terminal.
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
        sinks: tuple[Sink | None, ...] = (LogFile(path) if path else None, journal)
        self._sinks = tuple(sink for sink in sinks if sink is not None)
        self._observe = observe
        self._ring: deque[str] = deque(maxlen=keep)
        self._followers: set[_Follower] = set()
        self._partial = b""
        self._cut_bytes = 0
        self._dropped = 0
        self._mid_line = False
        self._rate_limit = TokenBucket(RATE, RATE)
        self._closed = False

    def feed(self, data: bytes) -> None:
        """Add output of the process. Never waits, and never raises because of the data or the disk."""
        if self._closed:
            return
        newlines = data.count(b"\n")
        if not self._rate_limit.try_take(len(data) + LINE_COST * min(newlines, MAX_LINES_PER_READ)):
            self._drop(data, newlines)
            return
        if newlines > MAX_LINES_PER_READ:
            excess, *last_lines = data.rsplit(b"\n", MAX_LINES_PER_READ + 1)
            self._drop(excess + b"\n", newlines - MAX_LINES_PER_READ)
            data = b"\n".join(last_lines)
        self._split_lines(data)

    @property
    def state(self) -> LogState:
        """The unfinished part, to continue with `resume` in another program."""
        return LogState(
            partial=self._partial, cut=self._cut_bytes, dropped=self._dropped, mid_line=self._mid_line
        )

    def resume(self, state: LogState) -> None:
        """Continue the log of the same process from an earlier sparkd."""
        if self.path:
            self._ring.extend(read_last_lines(self.path, self._ring.maxlen or 0))
        self._partial, self._cut_bytes = state.partial, state.cut
        self._dropped, self._mid_line = state.dropped, state.mid_line

    def close(self) -> None:
        """End the log: keep an unfinished line, end the followers, close the sinks."""
        if self._closed:
            return
        self._dropped += self._mid_line
        lines = [self._take_dropped_notice()] if self._dropped else []
        if self._partial:
            lines.append(self._finish_line(self._partial))
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

        A reader that is too slow loses lines and gets one that states how many.
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
        """Drop a piece of output, including the lines at both of its ends that are only partly in it."""
        self._dropped += newlines
        self._mid_line = not data.endswith(b"\n")
        self._partial, self._cut_bytes = b"", 0

    def _split_lines(self, data: bytes) -> None:
        lines: list[str] = []
        if self._mid_line:
            _, newline, data = data.partition(b"\n")
            self._mid_line = not newline
            self._dropped += bool(newline)
        if self._dropped and not self._mid_line:
            lines.append(self._take_dropped_notice())
        *complete, self._partial = (self._partial + data).split(b"\n")
        lines.extend(map(self._finish_line, complete))
        if b"\r" in self._partial:
            self._observe_progress()
        if len(self._partial) > MAX_LINE:
            self._cut_bytes += len(self._partial) - MAX_LINE
            self._partial = self._partial[:MAX_LINE]
        self._publish(lines)

    def _take_dropped_notice(self) -> str:
        count, self._dropped = self._dropped, 0
        return dropped_notice(count)

    def _finish_line(self, line: bytes) -> str:
        """Pass every progress update to the observer; return the line as a terminal would show it in the end."""
        line = line.removesuffix(b"\r")
        if b"\r" in line:
            *progress, line = [piece for piece in line.split(b"\r") if piece] or [b""]
            for piece in progress:
                self._notify_observer(_decode(piece))
        omitted, self._cut_bytes = self._cut_bytes + max(0, len(line) - MAX_LINE), 0
        text = _decode(line) + (f" [sparkd: {omitted} more bytes]" if omitted else "")
        self._notify_observer(text)
        return text

    def _observe_progress(self) -> None:
        """Pass on progress updates at once, because their newline may be minutes away. Keep only the last one.

        Keep its carriage returns too. One at the end may be the first half of a line's end. One at the beginning
        means that the following text is progress too.
        """
        text = self._partial.rstrip(b"\r")
        for piece in text.split(b"\r"):
            self._notify_observer(_decode(piece))
        self._partial = self._partial[max(text.rfind(b"\r"), 0) :]

    def _notify_observer(self, text: str) -> None:
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


def load_ended_log(path: Path) -> Log:
    """Return the log of a process that ended under an earlier sparkd."""
    log = Log(path)
    log.resume(LogState())
    log.close()
    return log


class _Follower:
    """A bounded queue of lines for one reader."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = deque(lines)
        self._dropped = 0
        self._ended = False
        self._changed = asyncio.Event()

    def extend(self, lines: Iterable[str]) -> None:
        for line in lines:
            if self._dropped or len(self._lines) >= MAX_FOLLOWER_LINES:
                # Until the reader has caught up, so that there is one gap and not hundreds.
                self._dropped += 1
            else:
                self._lines.append(line)
        self._changed.set()

    def end(self) -> None:
        self._ended = True
        self._changed.set()

    async def next(self) -> str | None:
        while not self._lines:
            if self._dropped:
                count, self._dropped = self._dropped, 0
                return dropped_notice(count)
            if self._ended:
                return None
            self._changed.clear()
            await self._changed.wait()
        return self._lines.popleft()


def dropped_notice(count: int) -> str:
    """Return the line that replaces dropped ones."""
    return f"[sparkd: {count} lines dropped]"


def _decode(line: bytes) -> str:
    text = line[:MAX_LINE].decode("utf-8", "replace")
    return text if text.isprintable() else text.translate(CONTROL_PICTURES)

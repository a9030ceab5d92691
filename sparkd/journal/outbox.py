"""Datagrams on their way to a reader that may be busy: what it does not take at once is sent when it does.

The journal's socket holds few datagrams where systemd has not raised net.unix.max_dgram_qlen (10 is Linux's own), and
an engine that shouts fills it: without a queue of its own the daemon would lose just the lines that tell of it.
"""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections import deque
from contextlib import suppress
from typing import Final

AT_ONCE: Final = 64
"""Datagrams sent in one turn of the event loop, some 0.5 ms."""

LAST_WORDS: Final = 1.0
"""Seconds that the reader gets for all that waits when the program ends."""


class Outbox:
    """At most so many datagrams that wait for one socket, which never blocks. Any thread may use it; what waits is
    sent by the event loop of whoever adds to it there, else with what comes next."""

    def __init__(self, door: socket.socket, most: int) -> None:
        self._door = door
        self._most = most
        self._waiting: deque[bytes] = deque()
        self._lock = threading.RLock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    def add(self, data: bytes) -> bool:
        """Queue it for the next `send`; False if too many wait already."""
        with self._lock:
            if len(self._waiting) >= self._most:
                return False
            self._waiting.append(data)
        return True

    def send(self) -> None:
        """Send some now, the rest when the reader has room."""
        with self._lock:
            for _ in range(min(AT_ONCE, len(self._waiting))):
                if not self._sent():
                    break
            if self._waiting and (self._loop is None or self._loop.is_closed()):
                self._loop = _running_loop()
                if self._loop:
                    self._loop.add_writer(self._door, self._on_writable)

    def flush(self) -> None:
        """Wait, for LAST_WORDS at most, until nothing waits any more. For the end of the program."""
        until = time.monotonic() + LAST_WORDS
        with self._lock, suppress(OSError):  # closed already
            going = True
            while self._waiting and going:
                self._door.settimeout(max(0.0, until - time.monotonic()))
                going = self._sent()
            self._door.setblocking(False)

    def close(self) -> None:
        """Close the socket as soon as nothing waits any more."""
        self._closed = True
        self.send()
        if not self._waiting:
            self._finish()

    def _sent(self) -> bool:
        """Send what waits first; False where the reader has no room for it."""
        with suppress(OSError):  # this one is refused, or the reader is gone: so is what was meant for it
            try:
                self._door.send(self._waiting[0])
            except (BlockingIOError, TimeoutError):
                return False
        self._waiting.popleft()
        return True

    def _on_writable(self) -> None:
        self.send()
        if not self._waiting:
            self._finish()

    def _finish(self) -> None:
        with self._lock:
            if self._loop:
                self._loop.remove_writer(self._door)
                self._loop = None
            if self._closed:
                self._door.close()


def _running_loop() -> asyncio.AbstractEventLoop | None:
    with suppress(RuntimeError):
        return asyncio.get_running_loop()
    return None

"""A send queue for datagrams: what a busy reader does not accept at once is sent later.

The journal's socket holds few datagrams unless systemd raises net.unix.max_dgram_qlen (Linux's default is 10). An
engine that floods its output fills it. Without this queue, the daemon would lose the lines that report the flood.
"""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections import deque
from contextlib import suppress
from typing import Final

MAX_PER_TURN: Final = 64
"""Datagrams sent in one turn of the event loop, some 0.5 ms."""

FLUSH_TIMEOUT: Final = 1.0
"""Seconds to wait for the reader to accept all queued datagrams when the program exits."""


class Outbox:
    """Queues up to `max_waiting` datagrams for one nonblocking socket. Any thread may use it.

    The event loop of the thread that calls `send` sends the queue. Without an event loop, the next `send` sends it.
    """

    def __init__(self, sock: socket.socket, max_waiting: int) -> None:
        self._sock = sock
        self._max_waiting = max_waiting
        self._waiting: deque[bytes] = deque()
        self._lock = threading.RLock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    def add(self, data: bytes) -> bool:
        """Queue a datagram for the next `send`. Return False if the queue is full."""
        with self._lock:
            if len(self._waiting) >= self._max_waiting:
                return False
            self._waiting.append(data)
        return True

    def send(self) -> None:
        """Send up to MAX_PER_TURN datagrams now, and the others when the reader has room."""
        with self._lock:
            for _ in range(min(MAX_PER_TURN, len(self._waiting))):
                if not self._send_next():
                    break
            if self._waiting and (self._loop is None or self._loop.is_closed()):
                self._loop = _running_loop()
                if self._loop:
                    self._loop.add_writer(self._sock, self._on_writable)

    def flush(self) -> None:
        """Wait up to FLUSH_TIMEOUT until the queue is empty. Call it when the program exits."""
        until = time.monotonic() + FLUSH_TIMEOUT
        with self._lock, suppress(OSError):  # the socket is closed
            has_room = True
            while self._waiting and has_room:
                self._sock.settimeout(max(0.0, until - time.monotonic()))
                has_room = self._send_next()
            self._sock.setblocking(False)

    def close(self) -> None:
        """Close the socket as soon as the queue is empty."""
        self._closed = True
        self.send()
        if not self._waiting:
            self._stop_writing()

    def _send_next(self) -> bool:
        """Send the first datagram. Return False if the reader has no room for it."""
        with suppress(OSError):  # the datagram is rejected or the reader is unreachable: drop the datagram
            try:
                self._sock.send(self._waiting[0])
            except (BlockingIOError, TimeoutError):
                return False
        self._waiting.popleft()
        return True

    def _on_writable(self) -> None:
        self.send()
        if not self._waiting:
            self._stop_writing()

    def _stop_writing(self) -> None:
        with self._lock:
            if self._loop:
                self._loop.remove_writer(self._sock)
                self._loop = None
            if self._closed:
                self._sock.close()


def _running_loop() -> asyncio.AbstractEventLoop | None:
    with suppress(RuntimeError):
        return asyncio.get_running_loop()
    return None

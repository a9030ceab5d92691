"""Reads the live state for everyone who listens: once for all of them, and only while somebody does.

It looks four times a second for what has happened. Hooks in the scheduler would cost something for each request, and
this costs nothing while nobody listens.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from typing import Final, Protocol

from sparkd.control.live.changes import HEARTBEAT, Event, Snapshot, find_changes, make_snapshot
from sparkd.control.live.state import LiveState
from sparkd.control.viewer import Viewer

INTERVAL: Final = 0.25
"""Seconds between two readings: at most four events a second."""

HEARTBEAT_INTERVAL: Final = 5.0
"""Seconds without an event after which a comment says that the connection still works."""

MAX_PENDING: Final = 8
"""Events that wait for a slow client. With more, it gets the whole state instead when it reads again."""


class Listener:
    """One connection: the events that it has not got yet. `heartbeat` is in seconds."""

    def __init__(self, viewer: Viewer, first: Snapshot, heartbeat: float = HEARTBEAT_INTERVAL) -> None:
        self._viewer = viewer
        self._heartbeat = heartbeat
        self._pending: deque[Event] = deque([first.event])
        self.ended = asyncio.Event()
        self._wake = asyncio.Event()
        self._wake.set()

    @property
    def pending(self) -> int:
        """The number of events that wait for it."""
        return len(self._pending)

    def add(self, event: Event, newest: Snapshot) -> None:
        """Give it an event. `newest` is the state after it."""
        is_behind = len(self._pending) >= MAX_PENDING or any(each.is_snapshot for each in self._pending)
        if is_behind:
            self._pending.clear()
        self._pending.append(newest.event if is_behind else event)
        self._wake.set()

    def end(self) -> None:
        """Have its connection end after what it has not got yet."""
        self.ended.set()
        self._wake.set()

    async def next(self) -> bytes | None:
        """The next bytes, None at the end."""
        while not self._pending:
            if self.ended.is_set() or not self._viewer.is_current():
                return None
            self._wake.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._heartbeat):
                    await self._wake.wait()
                    continue
            return HEARTBEAT
        if not self._viewer.is_current():
            return None
        return self._pending.popleft().encode(self._viewer.rights)


class StateReader(Protocol):
    """Reads the state."""

    async def read(self) -> LiveState:
        """The state now."""
        ...

    def mark_stopping(self) -> None:
        """Show from now on that the daemon is about to end."""
        ...


class LiveHub:
    """The events of one daemon. `run` is its background task."""

    def __init__(self, reader: StateReader) -> None:
        self._reader = reader
        self._listeners: set[Listener] = set()
        self._newest: Snapshot | None = None
        self._wanted = asyncio.Event()
        self._reading = asyncio.Lock()

    async def listen(self, viewer: Viewer) -> Listener:
        """A new connection. `leave` must follow."""
        async with self._reading:
            if self._newest is None or not self._listeners:
                self._newest = make_snapshot(await self._reader.read())
            listener = Listener(viewer, self._newest)
            self._listeners.add(listener)
        self._wanted.set()
        return listener

    def leave(self, listener: Listener) -> None:
        """Forget a connection that has ended."""
        self._listeners.discard(listener)
        if not self._listeners:
            self._wanted.clear()

    def end_all(self) -> None:
        """End all connections, because the daemon stops or replaces itself. Pages connect again by themselves."""
        for listener in self._listeners:
            listener.end()

    def close(self) -> None:
        """End all connections, and show to new ones that the daemon is about to end."""
        self._reader.mark_stopping()
        self.end_all()

    async def run(self) -> None:
        """Read and send until cancelled."""
        while True:
            await self._wanted.wait()
            await asyncio.sleep(INTERVAL)
            async with self._reading:
                if self._listeners and self._newest is not None:
                    await self._send_changes(self._newest)

    async def _send_changes(self, before: Snapshot) -> None:
        state = await self._reader.read()
        event = find_changes(before.state, state)
        if event is None:
            return
        self._newest = make_snapshot(state)
        for listener in self._listeners:
            listener.add(event, self._newest)

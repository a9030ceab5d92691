"""Noticing that the client leaves, while its request waits in the queue, for the engine, or is answered."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from sparkd.gateway.asgi import Message, Receive


class ClientLeft(Exception):
    """The client closed its connection before its request had come in whole."""


class Watch:
    """Cancels a task when the client leaves. Begin once the request's body has been read.

    Not a task itself: `receive()` is run up to the future it waits for, and that future calls back. Close it
    before the last piece of the answer is sent: uvicorn's `receive()` wakes up for the end of the answer as
    well, and the client has not left then.
    """

    __slots__ = ("_coroutine", "_receive", "_task", "left")

    def __init__(self, receive: Receive, task: asyncio.Task[Any]) -> None:
        self.left = False
        self._receive = receive
        self._task: asyncio.Task[Any] | None = task
        self._coroutine: Coroutine[Any, Any, Message] = receive()
        self._step(None)

    def close(self) -> None:
        """Watch no longer."""
        self._task = None
        self._coroutine.close()

    def _step(self, _: asyncio.Future[Any] | None) -> None:
        while self._task is not None:
            try:
                waits_for: asyncio.Future[Any] = self._coroutine.send(None)
            except StopIteration as end:
                if end.value["type"] == "http.disconnect":
                    self.left = True
                    self._task.cancel()
                    self._task = None
                    return
                self._coroutine = self._receive()
            else:
                waits_for.add_done_callback(self._step)
                return

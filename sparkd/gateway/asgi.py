"""ASGI's shapes (https://asgi.readthedocs.io/en/latest/specs/www.html), and what is ready without waiting.

Our server's `send` and `receive` do their work when they are called, not when they are awaited: what they return
is `DONE` or a `Ready` unless there is something to wait for. So an engine's chunk reaches the client's socket from
inside the read that brought it, with no task to wake up. Applications that just await notice nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class _Done:
    """To await it is to go on."""

    __slots__ = ()

    def __await__(self) -> Generator[Any, Any, None]:
        yield from ()


DONE: Awaitable[None] = _Done()


class Ready:
    """A message that is there already."""

    __slots__ = ("message",)

    def __init__(self, message: Message) -> None:
        self.message = message

    def __await__(self) -> Generator[Any, Any, Message]:
        yield from ()
        return self.message

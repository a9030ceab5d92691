"""What systemd is told: ready, a line for `systemctl status`, that we still move, stopping (protocol: sd_notify(3)).

A few lines of our own: the sdnotify package encodes in Latin-1 where systemd reads UTF-8, waits where its queue is
full, and has no wheel, so that an installation would have to build it.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Final

BEAT: Final = 1.0
"""Seconds between two looks at what there is to tell."""

EXTENSION: Final = 30.0
"""Seconds more that a stop may take from each beat on: it takes as long as answers do, while the loop runs."""

VARIABLES: Final = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")


class Systemd:
    """The service manager that started us, or none: then nothing is told and no time is spent."""

    def __init__(self) -> None:
        self.environment = {name: os.environ[name] for name in VARIABLES if name in os.environ}
        """What it told us in our environment, for a program that replaces ours: engines must not see it."""
        self._door = _door()
        self._watchdog = _watchdog()
        self._said = ""
        self._stopping = False

    def ready(self) -> None:
        """Tell that clients are served."""
        self._send("READY=1")

    def stopping(self) -> None:
        """Tell that the end has begun; from now on each beat asks for more time."""
        self._stopping = True
        self._send("STOPPING=1")

    async def beat(self, line: Callable[[], str]) -> None:
        """Go on telling, until cancelled, that the event loop runs, and `line()` whenever that has changed.

        Belongs on the loop whose life it attests: one that stands still does not get here.
        """
        if self._door is None:
            return
        pause = min(BEAT, self._watchdog / 3) if self._watchdog else BEAT
        while True:
            self._tell(line())
            await asyncio.sleep(pause)

    def _tell(self, line: str) -> None:
        told = []
        if self._watchdog:
            told.append("WATCHDOG=1")
        if self._stopping:
            told.append(f"EXTEND_TIMEOUT_USEC={round(EXTENSION * 1e6)}")
        if line != self._said:
            self._said = line
            told.append(f"STATUS={line}")
        if told:
            self._send("\n".join(told))

    def _send(self, told: str) -> None:
        if self._door:
            with suppress(OSError):  # its queue is full, or it is gone: no reason for us to stand still
                self._door.send(told.encode())


def _door() -> socket.socket | None:
    """The datagram socket that NOTIFY_SOCKET names; a leading @ stands for an abstract one, unix(7)."""
    path = os.environ.pop("NOTIFY_SOCKET", "")
    if not path.startswith(("/", "@")):
        return None
    door = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    try:
        door.connect(path.replace("@", "\0", 1) if path[0] == "@" else path)
    except OSError:
        door.close()
        return None
    return door


def _watchdog() -> float | None:
    """Seconds after which systemd takes silence for death, None where it does not listen: sd_watchdog_enabled(3)."""
    microseconds = os.environ.pop("WATCHDOG_USEC", "")
    pid = os.environ.pop("WATCHDOG_PID", str(os.getpid()))
    if not microseconds.isdigit() or pid != str(os.getpid()):
        return None
    return int(microseconds) / 1e6 or None

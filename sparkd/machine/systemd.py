"""What systemd is told: ready, a line for `systemctl status`, that we still move, stopping (protocol: sd_notify(3))."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Final

import sdnotify

BEAT: Final = 1.0
"""Seconds between two looks at what there is to tell."""

EXTENSION: Final = 30.0
"""Seconds more that a stop may take from each beat on: it takes as long as answers do, while the loop runs."""


class Systemd:
    """The service manager that started us, or none: then nothing is told and no time is spent."""

    def __init__(self) -> None:
        self._notifier = sdnotify.SystemdNotifier()
        if self._notifier.socket is not None:
            # Its queue may be full: no reason for us to stand still.
            self._notifier.socket.setblocking(False)
        os.environ.pop("NOTIFY_SOCKET", None)  # engines are not to speak for us
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
        if self._notifier.socket is None:
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
        # sdnotify encodes in Latin-1, and systemd reads UTF-8.
        self._notifier.notify(told.encode().decode("latin-1"))


def _watchdog() -> float | None:
    """Seconds after which systemd takes silence for death, None where it does not listen: sd_watchdog_enabled(3)."""
    microseconds = os.environ.pop("WATCHDOG_USEC", "")
    pid = os.environ.pop("WATCHDOG_PID", str(os.getpid()))
    if not microseconds.isdigit() or pid != str(os.getpid()):
        return None
    return int(microseconds) / 1e6 or None

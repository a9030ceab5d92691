"""Notifies systemd: ready, a status line for `systemctl status`, watchdog heartbeats, stopping. See sd_notify(3)."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Final

from sdnotify import SystemdNotifier

HEARTBEAT: Final = 1.0
"""Seconds between two heartbeats, unless the watchdog needs them more often."""

STOP_EXTENSION: Final = 30.0
"""Seconds by which each heartbeat extends a stop: it may take as long as the responses do, while the loop runs."""

VARIABLES: Final = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")


class Systemd:
    """The service manager that started this process. Without one, nothing is sent and no time is spent."""

    def __init__(self) -> None:
        self.environment = {name: os.environ[name] for name in VARIABLES if name in os.environ}
        """Its variables, removed from our environment so that engines do not inherit them. A re-exec passes them on."""
        self._notifier = _connect()
        self._watchdog = _watchdog_timeout()
        self._status = ""
        self._stopping = False

    def report_ready(self) -> None:
        """Report that clients are served."""
        self._notify("READY=1")

    def report_stopping(self) -> None:
        """Report that the daemon is stopping. From now on each heartbeat asks for more time."""
        self._stopping = True
        self._notify("STOPPING=1")

    async def send_heartbeats(self, status: Callable[[], str]) -> None:
        """Until cancelled, report that the event loop runs, and `status()` whenever it has changed.

        Run it on the event loop that the watchdog must watch: a blocked loop sends no heartbeat.
        """
        if self._notifier is None:
            return
        pause = min(HEARTBEAT, self._watchdog / 3) if self._watchdog else HEARTBEAT
        while True:
            self._send_heartbeat(status())
            await asyncio.sleep(pause)

    def close(self) -> None:
        """Close the socket. Nothing is sent afterwards."""
        if self._notifier:
            self._notifier.socket.close()
            self._notifier = None

    def _send_heartbeat(self, status: str) -> None:
        assignments = []
        if self._watchdog:
            assignments.append("WATCHDOG=1")
        if self._stopping:
            assignments.append(f"EXTEND_TIMEOUT_USEC={round(STOP_EXTENSION * 1e6)}")
        if status != self._status:
            self._status = status
            assignments.append(f"STATUS={status}")
        if assignments:
            self._notify(*assignments)

    def _notify(self, *assignments: str) -> None:
        if self._notifier:
            # sdnotify encodes in Latin-1 and systemd reads UTF-8. Each byte of UTF-8 is one character of Latin-1.
            self._notifier.notify("\n".join(assignments).encode().decode("latin-1"))


def _connect() -> SystemdNotifier | None:
    """Connect to the socket that NOTIFY_SOCKET names. None without one, or if it cannot be reached."""
    notifier = SystemdNotifier() if "NOTIFY_SOCKET" in os.environ else None
    os.environ.pop("NOTIFY_SOCKET", None)
    if notifier is None or notifier.socket is None:
        return None
    # sdnotify waits while systemd's queue is full. Without blocking it drops the message: the event loop must not wait.
    notifier.socket.setblocking(False)
    return notifier


def _watchdog_timeout() -> float | None:
    """Seconds without a heartbeat after which systemd kills us. None without a watchdog. See sd_watchdog_enabled(3)."""
    microseconds = os.environ.pop("WATCHDOG_USEC", "")
    pid = os.environ.pop("WATCHDOG_PID", str(os.getpid()))
    if not microseconds.isdigit() or pid != str(os.getpid()):
        return None
    return int(microseconds) / 1e6 or None

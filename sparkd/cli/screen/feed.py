"""What sparkd does now, kept up to date on a thread of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from sparkd.cli.screen.from_status import build_view
from sparkd.cli.screen.view import View
from sparkd.control.client import ControlClient
from sparkd.errors import SparkdError
from sparkd.scheduling.status import Status

RETRY_AFTER: Final = 0.5
"""Seconds between two attempts to reach a daemon that does not respond."""


class Source(Protocol):
    """A way to follow a daemon."""

    def follow(self, client: ControlClient, on_news: Callable[[], None]) -> None:
        """Keep up to date until the connection ends, which raises SparkdError. Calls `on_news` for each response."""
        ...

    def view(self) -> View | None:
        """What is known, with durations as of now. None before the first response."""
        ...


class Polling:
    """Asks for the status again and again."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._status: Status | None = None

    def follow(self, client: ControlClient, on_news: Callable[[], None]) -> None:
        """Ask until that fails."""
        while True:
            self._status = client.status()
            on_news()
            time.sleep(self._interval)

    def view(self) -> View | None:
        """The last status."""
        return build_view(self._status) if self._status else None


class Feed:
    """Follows a daemon, also across its restarts. `view` and `problem` may be read by any thread."""

    def __init__(self, socket: Path, source: Source) -> None:
        self._socket = socket
        self._source = source
        self._error: str | None = None
        self._lost_at = 0.0
        self._thread = threading.Thread(target=self._run, daemon=True, name="feed")

    def start(self) -> None:
        """Begin to follow."""
        self._thread.start()

    def view(self) -> View | None:
        """What sparkd does now, or did last. None before the first response."""
        return self._source.view()

    @property
    def problem(self) -> str:
        """Why the view is old, briefly. "" if it is not."""
        if self._error is None:
            return ""
        return f"reconnecting for {time.monotonic() - self._lost_at:.0f} s"

    @property
    def error(self) -> str | None:
        """The last error, None if sparkd responds."""
        return self._error

    def _run(self) -> None:
        while True:
            try:
                with ControlClient(self._socket) as client:
                    self._source.follow(client, self._on_news)
            except SparkdError as error:
                if self._error is None:
                    self._lost_at = time.monotonic()
                self._error = error.message
            time.sleep(RETRY_AFTER)

    def _on_news(self) -> None:
        self._error = None

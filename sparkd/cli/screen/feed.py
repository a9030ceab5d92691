"""What sparkd does now, kept up to date on a thread of its own."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Final

from msgspec import Struct

from sparkd.cli.screen.from_live import build_view
from sparkd.cli.screen.view import View
from sparkd.control.client import ControlClient
from sparkd.control.live.state import LiveState
from sparkd.errors import SparkdError
from sparkd.scheduling.status import ModelStatus

RETRY_INTERVAL: Final = 0.5
"""Seconds between two attempts to reach a daemon that does not respond."""

CATALOGUE_INTERVAL: Final = 60.0
"""Seconds between two requests for the models that do nothing. They change when the catalogue does."""


class _News(Struct, frozen=True):
    """A state, the daemon's time, and the steady time at which it was received."""

    state: LiveState
    now: float
    received: float


class Feed:
    """Follows a daemon, also across its restarts. Any thread may read it."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._news: _News | None = None
        self._others: dict[str, ModelStatus] = {}
        self._error: str | None = None
        self._lost_at = 0.0

    def start(self) -> None:
        """Begin to follow."""
        for target in (self._follow, self._follow_catalogue):
            threading.Thread(target=target, daemon=True, name="feed").start()

    def view(self) -> View | None:
        """What sparkd does now, or did when it was last reached. None before the first response."""
        news = self._news
        if news is None:
            return None
        until = time.monotonic() if self._error is None else self._lost_at
        return build_view(news.state, news.now + max(0.0, until - news.received), self._others)

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

    def _follow(self) -> None:
        while True:
            try:
                with ControlClient(self._socket) as client:
                    for now, state in client.live():
                        self._news, self._error = _News(state, now, time.monotonic()), None
                self._lose("sparkd has closed the connection")
            except SparkdError as error:
                self._lose(error.message)
            time.sleep(RETRY_INTERVAL)

    def _follow_catalogue(self) -> None:
        while True:
            try:
                with ControlClient(self._socket) as client:
                    while True:
                        self._others = {model.id: model for model in client.status().models}
                        time.sleep(CATALOGUE_INTERVAL)
            except SparkdError:
                time.sleep(RETRY_INTERVAL)

    def _lose(self, message: str) -> None:
        if self._error is None:
            self._lost_at = time.monotonic()
        self._error = message

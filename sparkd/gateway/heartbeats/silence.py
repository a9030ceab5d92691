"""Finds engines that are silent although they have a request, such as during a long prefill.

Most requests are forwarded without a task and without a timer of their own. One timer serves them all.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final, Protocol

from sparkd.catalog.heartbeat import Heartbeat

_CHECKS: Final = 4
"""Checks within the time after which a heartbeat is due."""


class ForwardedRequest(Protocol):
    """A request that an engine has. `began` is when it arrived, in seconds of the monotonic clock."""

    @property
    def began(self) -> float:
        """When it arrived, in seconds of the monotonic clock."""
        ...

    def break_silence(self) -> None:
        """Send heartbeats if nothing has come from the engine."""
        ...


class SilenceWatch:
    """Calls `break_silence` of each request that is older than `settings.after`, once."""

    def __init__(self, settings: Heartbeat) -> None:
        self.settings = settings
        self._young: dict[ForwardedRequest, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def add(self, request: ForwardedRequest) -> None:
        """Watch a request."""
        self._young[request] = None
        if self._timer is None:
            self._set_timer()

    def remove(self, request: ForwardedRequest) -> None:
        """Watch a request no longer."""
        self._young.pop(request, None)

    def _set_timer(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self.settings.after / _CHECKS, self._check)

    def _check(self) -> None:
        self._timer = None
        before = time.monotonic() - self.settings.after
        while self._young and (oldest := next(iter(self._young))).began <= before:
            del self._young[oldest]
            oldest.break_silence()
        if self._young:
            self._set_timer()

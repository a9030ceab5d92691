"""A model and its log, kept up to date on a thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from sparkd.control.client import ControlClient
from sparkd.errors import SparkdError
from sparkd.scheduling.status import ModelStatus

LOG_LINES: Final = 500
INTERVAL: Final = 1.0
"""Seconds between two requests for the model and its log."""


class FollowedModel:
    """A model and the last lines of its log, until `close`. Calls `wake` when there is something new."""

    def __init__(self, socket: Path, model_id: str, wake: Callable[[], None]) -> None:
        self.model_id = model_id
        self.model: ModelStatus | None = None
        self.log: list[str] = []
        self.problem = ""
        self._socket = socket
        self._wake = wake
        self._closed = threading.Event()
        threading.Thread(target=self._run, daemon=True, name="details").start()

    def close(self) -> None:
        """Stop to follow it."""
        self._closed.set()

    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                with ControlClient(self._socket) as client:
                    while not self._closed.is_set():
                        self._look(client)
                        self._closed.wait(INTERVAL)
            except SparkdError as error:
                self.problem = error.message
                self._wake()
                self._closed.wait(INTERVAL)

    def _look(self, client: ControlClient) -> None:
        model = client.model(self.model_id)
        try:
            log = list(client.logs(self.model_id, lines=LOG_LINES))
        except SparkdError as error:
            if error.code != "log_not_found":
                raise
            log = []
        self.model, self.log, self.problem = model, log, ""
        self._wake()

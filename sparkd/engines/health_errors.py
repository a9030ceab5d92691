"""Whether an engine's health path answers only errors, and what those say."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from sparkd.engines.causes import MAX_QUOTE, SEE_LOG, last_exception
from sparkd.engines.engine import Cause, HealthErrors

MIN_ANSWERS: Final = 3
"""Errors in a row: a slow health path may answer only once within the timeout."""

MESSAGE_KEYS: Final = ("message", "detail", "error")
"""Keys of a JSON body that have its message, or an object with one of these keys."""


class HealthErrorTracker:
    """Counts the errors of one engine's health path in a row. `now` is in seconds of a steady clock."""

    def __init__(self, policy: HealthErrors) -> None:
        self._policy = policy
        self._since: float | None = None
        self._count = 0

    @property
    def active(self) -> bool:
        """Whether the last answer was an error."""
        return self._since is not None

    def record(self, status: int | None, now: float) -> bool:
        """Record the status of an answer, None if there was none; return whether the engine has failed."""
        if status is None or status < 400 or status in self._policy.inconclusive:
            self._since, self._count = None, 0
            return False
        if self._since is None:
            self._since = now
        self._count += 1
        return self._count >= MIN_ANSWERS and now - self._since >= self._policy.timeout


def explain_health_error(path: str, status: int, body: str, lines: list[str]) -> Cause:
    """Return the cause: the status, and the body's message or the last exception of the log, `lines`."""
    detail = _find_message(body) or last_exception(lines)
    sentence = f"its health path {path} answers with status {status}{f': {detail}' if detail else ''}"
    return Cause(
        "unhealthy", sentence.rstrip(".") + ".", f"{SEE_LOG} Set the model's `health` if the path is wrong."
    )


def _find_message(body: str) -> str:
    """Return the message of a body, if it has one: of JSON its message, of plain text its first line."""
    try:
        text = _message_of(msgspec.json.decode(body))
    except (msgspec.DecodeError, RecursionError):
        text = "" if body.lstrip().startswith("<") else next(iter(body.strip().splitlines()), "")
    return text if len(text) <= MAX_QUOTE else f"{text[:MAX_QUOTE]}…"


def _message_of(document: Any) -> str:
    while isinstance(document, dict):
        document = next((document[key] for key in MESSAGE_KEYS if document.get(key)), "")
    return document if isinstance(document, str) else ""

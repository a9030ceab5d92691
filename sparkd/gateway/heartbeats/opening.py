"""The first event of an engine's stream, which must not repeat what a heartbeat has said already."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

import msgspec

LONGEST: Final = 1024 * 1024
"""Bytes. A longer first event is not edited."""

_end_of_event = re.compile(rb"\r?\n\r?\n")
_decode = msgspec.json.Decoder(dict[str, Any]).decode
_encode = msgspec.json.Encoder().encode

_SHARED: Final = frozenset({"id", "object", "created", "model", "choices", "system_fingerprint"})
"""Fields that every chunk of a chat has."""

_CHOICE: Final = frozenset({"index", "delta"})


class Opening:
    """Passes a stream on, in which `edit` may change the first event. It is kept until it is complete."""

    def __init__(self, edit: Callable[[bytes], bytes]) -> None:
        self._edit = edit
        self._held = b""
        self.is_complete = False

    def feed(self, data: bytes, *, more: bool) -> bytes:
        """What can be passed on now: whole comments before the first event, then everything from that event on."""
        if self.is_complete:
            return data
        data = self._held + data
        passed = 0
        while (end := _end_of_event.search(data, passed)) is not None:
            event = data[passed : end.end()]
            if not event.startswith(b":"):
                self.is_complete = True
                return data[:passed] + self._edit(event) + data[end.end() :]
            passed = end.end()
        if not more or len(data) > LONGEST:
            self.is_complete = True
            return data
        self._held = data[passed:]
        return data[:passed]


def remove_role(event: bytes) -> bytes:
    """The first chunk of a chat without its role; empty if it has nothing else. Any other event stays as it is."""
    chunk = _read(event, b"data:")
    choices = chunk.get("choices")
    if not isinstance(choices, list) or len(choices) != 1 or not isinstance(choices[0], dict):
        return event
    choice: dict[str, Any] = choices[0]
    delta = choice.get("delta")
    if not isinstance(delta, dict) or delta.pop("role", None) is None or choice.get("index") != 0:
        return event
    rest = [
        *delta.values(),
        *(value for name, value in chunk.items() if name not in _SHARED),
        *(value for name, value in choice.items() if name not in _CHOICE),
    ]
    if all(value in (None, "", []) for value in rest):
        return b""
    return b"data: " + _encode(chunk) + b"\n\n"


def is_created_event(event: bytes) -> bool:
    """Whether this is the event `response.created` of /v1/responses."""
    return event.startswith(b"event: response.created") or (
        _read(event, b"data:").get("type") == "response.created"
    )


def _read(event: bytes, prefix: bytes) -> dict[str, Any]:
    """The data of an event that has nothing else; empty for any other."""
    if not event.startswith(prefix):
        return {}
    try:
        return _decode(event[len(prefix) :])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}

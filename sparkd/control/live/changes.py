"""What differs between two states, as a server-sent event."""

from __future__ import annotations

import time
from typing import Any, Final

import msgspec
from msgspec import Struct, structs

from sparkd.control.live.state import LiveState
from sparkd.control.viewer import Rights

RETRY: Final = 2000
"""Milliseconds after which a client that lost the connection connects again."""

SNAPSHOT: Final = "snapshot"

HEARTBEAT: Final = b": heartbeat\n\n"

_SECTIONS: Final = ("queue", "in_flight", "finished")
_encode = msgspec.json.Encoder().encode


class Event:
    """One event for all clients. They differ in their rights, which are a part of `machine`."""

    def __init__(self, name: str, sections: dict[str, Any]) -> None:
        self.is_snapshot = name == SNAPSHOT
        self._name = name
        self._sections = {"now": round(time.time(), 3), **sections}
        self._encoded: dict[Rights, bytes] = {}

    def encode(self, rights: Rights) -> bytes:
        """The event for clients with these rights."""
        if (found := self._encoded.get(rights)) is None:
            sections = self._sections
            if "machine" in sections:
                machine = structs.asdict(sections["machine"])
                sections = {**sections, "machine": {**machine, "rights": rights}}
            found = b"event: %s\ndata: %s\n\n" % (self._name.encode(), _encode(sections))
            self._encoded[rights] = found
        return found


class Snapshot(Struct, frozen=True):
    """A state, and the event with all of it."""

    state: LiveState
    event: Event


def make_snapshot(state: LiveState) -> Snapshot:
    """The event with which every connection begins."""
    return Snapshot(state, Event(SNAPSHOT, structs.asdict(state)))


def find_changes(before: LiveState, after: LiveState) -> Event | None:
    """The event with the sections, and the rows of models, that have changed; a row of None is gone. None: nothing."""
    sections: dict[str, Any] = {}
    if after.machine != before.machine:
        sections["machine"] = after.machine
    for name in _SECTIONS:
        if getattr(after, name) != getattr(before, name):
            sections[name] = getattr(after, name)
    rows: dict[str, Any] = {id_: row for id_, row in after.models.items() if before.models.get(id_) != row}
    rows |= {id_: None for id_ in before.models if id_ not in after.models}
    if rows:
        sections["models"] = rows
    return Event("change", sections) if sections else None

"""Methods about what happens now: the event stream, put together again."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from typing import Final

from msgspec import UNSET, Struct, UnsetType

from sparkd.control.client.connection import ControlConnection
from sparkd.control.live.state import InFlight, LiveMachine, LiveModel, LiveQueue, LiveState
from sparkd.usage.records import RequestRecord

SILENCE: Final = 20.0
"""Seconds without an event or a heartbeat after which the daemon counts as gone."""


class LiveMethods(ControlConnection):
    """Methods about what happens now."""

    def live(self) -> Generator[tuple[float, LiveState], None, None]:
        """The state of the machine, and again after each change, each with the daemon's time (seconds since the epoch).

        Ends if the daemon ends or replaces its program. Raises DaemonUnreachable if it has been silent for SILENCE.
        """
        state: LiveState | None = None
        for name, data in _parse_events(self._stream_lines("/events", silence=SILENCE)):
            if name == "snapshot":
                snapshot = self._decode(data, _Snapshot)
                state = snapshot.state
                yield snapshot.now, state
            elif name == "change" and state is not None:
                change = self._decode(data, _Change)
                state = change.apply(state)
                yield change.now, state


class _Snapshot(Struct, frozen=True):
    """All sections."""

    now: float
    machine: LiveMachine
    models: dict[str, LiveModel]
    queue: LiveQueue
    in_flight: InFlight
    finished: tuple[RequestRecord, ...] = ()

    @property
    def state(self) -> LiveState:
        """The state that it describes."""
        return LiveState(
            machine=self.machine,
            models=self.models,
            queue=self.queue,
            in_flight=self.in_flight,
            finished=self.finished,
        )


class _Change(Struct, frozen=True):
    """The sections that have changed, and the rows of models; None is a model that has no row any more."""

    now: float
    machine: LiveMachine | UnsetType = UNSET
    models: dict[str, LiveModel | None] = {}
    queue: LiveQueue | UnsetType = UNSET
    in_flight: InFlight | UnsetType = UNSET
    finished: tuple[RequestRecord, ...] | UnsetType = UNSET

    def apply(self, state: LiveState) -> LiveState:
        """The state after the change."""
        models = state.models | self.models
        return LiveState(
            machine=state.machine if self.machine is UNSET else self.machine,
            models={id_: row for id_, row in models.items() if row is not None},
            queue=state.queue if self.queue is UNSET else self.queue,
            in_flight=state.in_flight if self.in_flight is UNSET else self.in_flight,
            finished=state.finished if self.finished is UNSET else self.finished,
        )


def _parse_events(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Name and data of server-sent events, as the daemon writes them."""
    name, data = "", list[str]()
    for line in lines:
        text = line.removesuffix("\r")
        if not text:
            if data:
                yield name, "\n".join(data)
            name, data = "", []
        elif text.startswith("event:"):
            name = text[6:].lstrip()
        elif text.startswith("data:"):
            data.append(text[5:].lstrip())

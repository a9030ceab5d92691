"""What serves a request of another API than the engine's: it writes the response, and the heartbeats before it."""

from __future__ import annotations

from typing import Protocol

from sparkd.catalog.heartbeat import HeartbeatStyle
from sparkd.errors import EngineRejected
from sparkd.gateway.heartbeats.formats import Facts, Format
from sparkd.gateway.responses.answer import Writer
from sparkd.upstream.connection import Sink


class TranslatedAnswer(Sink, Protocol):
    """Writes the response of an engine in another API. `error` is what the engine answered, if it was an error."""

    error: EngineRejected | None

    def redirect(self, writer: Writer) -> None:
        """Write to another writer from now on."""
        ...


class Translation(Protocol):
    """Another API for one request."""

    def answer(self, writer: Writer) -> TranslatedAnswer:
        """What writes the response to `writer`."""
        ...

    def heartbeats(self, facts: Facts, style: HeartbeatStyle) -> Format:
        """The format of heartbeats in a stream."""
        ...

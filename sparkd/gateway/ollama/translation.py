"""Ollama's API for one request: what writes its response, and the heartbeats before it."""

from __future__ import annotations

import time

from msgspec import Struct

from sparkd.catalog.heartbeat import HeartbeatStyle
from sparkd.errors import SparkdError
from sparkd.gateway.heartbeats.formats import Comments, Facts
from sparkd.gateway.ollama.answer import NDJSON, OllamaAnswer
from sparkd.gateway.responses.answer import Writer
from sparkd.gateway.responses.errors import message_in_stream
from sparkd.ollama.documents import error_line, heartbeat
from sparkd.ollama.requests import TranslatedRequest
from sparkd.ollama.times import format_time


class OllamaTranslation(Struct, frozen=True):
    """Ollama's API for a request to `model`."""

    request: TranslatedRequest
    model: str

    def answer(self, writer: Writer) -> OllamaAnswer:
        """What translates the response."""
        return OllamaAnswer(self.request, self.model, writer)

    def heartbeats(self, facts: Facts, style: HeartbeatStyle) -> OllamaLines:
        """Lines without content; with thinking, if `style` is "reasoning"."""
        return OllamaLines(facts, self.request, shows_progress=style == "reasoning")


class OllamaLines(Comments):
    """Lines without content, for every style: a stream of JSON lines has no comments, and some clients fail at a blank
    line."""

    content_type = NDJSON

    def __init__(self, facts: Facts, request: TranslatedRequest, *, shows_progress: bool) -> None:
        super().__init__(facts)
        self._request = request
        self._shows_progress = shows_progress

    def heartbeat(self, progress: str) -> bytes:
        """A line."""
        thinking = f"{progress}\n" if self._shows_progress else ""
        return heartbeat(self._request.kind, self._request.name, format_time(time.time()), thinking)

    def error(self, error: SparkdError) -> bytes:
        """The error as the last line."""
        return error_line(message_in_stream(error))

"""Which heartbeats a request gets: by its API, its model and its client."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

from sparkd.catalog.client import Client
from sparkd.catalog.definitions import Model
from sparkd.catalog.heartbeat import Heartbeat, HeartbeatStyle
from sparkd.gateway.heartbeats.formats import (
    Blanks,
    ChatChunks,
    Comments,
    Facts,
    Format,
    Pings,
    ReasoningChunks,
    ResponseEvents,
    TextChunks,
)
from sparkd.gateway.preparation.prepared_request import PreparedRequest
from sparkd.rewriting import detect_api
from sparkd.rewriting.rewrite_context import GENERATING_APIS, Api

FormatFactory = Callable[[Facts], Format]

FORMATS: Final[Mapping[tuple[Api, HeartbeatStyle], FormatFactory]] = {
    ("chat", "chunk"): ChatChunks,
    ("chat", "reasoning"): ReasoningChunks,
    ("completions", "chunk"): TextChunks,
    ("completions", "reasoning"): TextChunks,
    ("messages", "chunk"): Pings,
    ("messages", "reasoning"): Pings,
    ("responses", "chunk"): ResponseEvents,
    ("responses", "reasoning"): ResponseEvents,
}
"""The formats of streams; comments for all others.

Only a chat can begin with reasoning: in the other APIs, reasoning is part of a message or an output that only the
engine can number."""

DOCUMENT_PATHS: Final = frozenset({"/v1/rerank", "/v2/rerank", "/rerank", "/score", "/v1/score", "/classify"})
"""Paths besides the APIs whose responses are JSON in any case."""

_BINARY: Final = frozenset({"bytes", "bytes_only"})
"""Values of `encoding_format` for which vLLM's embeddings are not JSON."""


class _Body(Struct):
    stream: Any = False
    encoding_format: Any = None


_decode = msgspec.json.Decoder(_Body).decode


def choose_style(settings: Heartbeat, model: Model, client: Client) -> HeartbeatStyle:
    """The style of heartbeats in a stream: the client's, otherwise the model's, otherwise that of all.

    sparkd knows the ids of chunks only for vLLM. Unless the model's own key says so, other engines get comments.
    """
    style = client.heartbeat or model.heartbeat or settings.style
    if style == "off" or model.engine == "vllm" or model.heartbeat == style:
        return style
    return "comment"


def choose_format(
    prepared: PreparedRequest, style: HeartbeatStyle, facts: Facts, *, blanks: bool, is_sent: bool
) -> Format | None:
    """The format of a request's heartbeats; None if it gets none.

    `blanks`: a response that is not a stream gets them. `is_sent`: the engine has the request already.
    """
    request, model = prepared.request, prepared.model
    if request.method != b"POST" or not isinstance(request.body, (bytes, bytearray)):
        return None
    try:
        body = _decode(request.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    path = request.target.decode("latin-1").partition("?")[0]
    api = detect_api(path)
    if body.stream is True and _may_stream(api, path, model):
        if style == "off":
            return None
        if prepared.translation is not None:
            return prepared.translation.heartbeats(facts, style)
        make = FORMATS.get((api, style), Comments)
        # The engine must know the id of a response that heartbeats begin.
        return Comments(facts) if is_sent and make is ResponseEvents else make(facts)
    is_document = api != "other" or path in DOCUMENT_PATHS
    return Blanks(facts) if blanks and is_document and body.encoding_format not in _BINARY else None


def _may_stream(api: Api, path: str, model: Model) -> bool:
    """Whether the response is a stream of events if the request says so. A command may serve any path."""
    return api in GENERATING_APIS or (api == "other" and model.engine == "command" and "/audio/" not in path)

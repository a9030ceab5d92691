"""How heartbeats, and errors after them, are written in each API.

A format belongs to one request. What it writes is always whole: an event, a comment or a blank.
"""

from __future__ import annotations

import time
import uuid
from typing import Any, Final, Protocol

import msgspec
from msgspec import Struct, structs

from sparkd.errors import Refusal, SparkdError
from sparkd.gateway.heartbeats.opening import is_created_event, remove_role
from sparkd.gateway.responses.errors import Dialect, error_body, error_data, message_in_stream
from sparkd.upstream.client import EngineRequest

EVENT_STREAM: Final = b"text/event-stream"
COMMENT: Final = b": keep-alive\n\n"
"""The blank after the colon matters: some clients split each line there."""

_encode = msgspec.json.Encoder().encode


class Facts(Struct, frozen=True):
    """What a format needs from its request. `model` is the name that the client has asked for."""

    request_id: bytes
    model: str
    dialect: Dialect = "openai"


class Format(Protocol):
    """How the heartbeats of one request are written, and what follows them."""

    content_type: bytes

    def heartbeat(self, progress: str) -> bytes:
        """The next heartbeat. `progress` says to a person what the request waits for."""
        ...

    def adapt(self, request: EngineRequest) -> EngineRequest:
        """The request that makes the engine continue what heartbeats have begun."""
        ...

    def edit_opening(self, event: bytes) -> bytes:
        """The engine's first event without what a heartbeat has said already; empty if nothing remains."""
        ...

    def error(self, error: SparkdError) -> bytes:
        """The error that ends the response."""
        ...


class Comments:
    """Comments, which every stream may have and parsers skip."""

    content_type = EVENT_STREAM + b"; charset=utf-8"

    def __init__(self, facts: Facts) -> None:
        self._facts = facts

    def heartbeat(self, progress: str) -> bytes:  # noqa: ARG002
        """A comment."""
        return COMMENT

    def adapt(self, request: EngineRequest) -> EngineRequest:
        """The same request."""
        return request

    def edit_opening(self, event: bytes) -> bytes:
        """The same event."""
        return event

    def error(self, error: SparkdError) -> bytes:
        """An event with the error, without the end mark of a successful stream."""
        dialect = self._facts.dialect
        if dialect == "responses":
            return ResponseEvents(self._facts).error(error)
        data = error_data(error, dialect, self._facts.request_id)
        return encode_event(data, "error" if dialect == "anthropic" else "")


class Pings(Comments):
    """`event: ping` of /v1/messages, which may come anywhere in a stream."""

    def heartbeat(self, progress: str) -> bytes:  # noqa: ARG002
        """A ping."""
        return b'event: ping\ndata: {"type":"ping"}\n\n'


class TextChunks(Comments):
    """Chunks of /v1/completions without text, with the id that vLLM will give the others."""

    def __init__(self, facts: Facts) -> None:
        super().__init__(facts)
        self._chunk = {
            "id": "cmpl-" + facts.request_id.decode("latin-1"),
            "object": "text_completion",
            "created": int(time.time()),
            "model": facts.model,
        }

    def heartbeat(self, progress: str) -> bytes:  # noqa: ARG002
        """A chunk without text."""
        choice = {"index": 0, "text": "", "logprobs": None, "finish_reason": None}
        return encode_event(_encode({**self._chunk, "choices": [choice]}))


class ChatChunks(Comments):
    """Chunks of a chat without text, with the id that vLLM will give the others.

    Libraries depend on each detail: LangChain.js loses tool calls unless the first chunk has the role, openai-python
    adds a second role to the first, openai-go drops all chunks whose id is not that of the first.
    """

    def __init__(self, facts: Facts) -> None:
        super().__init__(facts)
        self._is_first = True
        self._chunk = {
            "id": "chatcmpl-" + facts.request_id.decode("latin-1"),
            "object": "chat.completion.chunk",
            "created": int(time.time()),
            "model": facts.model,
        }

    def heartbeat(self, progress: str) -> bytes:
        """A chunk without text; the first one has the role."""
        role = {"role": "assistant"} if self._is_first else {}
        self._is_first = False
        delta = role | self._delta(progress)
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}
        return encode_event(_encode({**self._chunk, "choices": [choice]}))

    def edit_opening(self, event: bytes) -> bytes:
        """The engine's first chunk without its role; usually, nothing remains."""
        return remove_role(event)

    def _delta(self, progress: str) -> dict[str, str]:  # noqa: ARG002
        return {"content": ""}


class ReasoningChunks(ChatChunks):
    """Chunks of a chat whose reasoning says what the request waits for, for clients that count only text.

    vLLM names the field `reasoning`, other servers and older clients `reasoning_content`.
    """

    def _delta(self, progress: str) -> dict[str, str]:
        text = f"{progress}\n"
        return {"reasoning": text, "reasoning_content": text}


class ResponseEvents(Comments):
    """Events of /v1/responses: `response.created`, then `keepalive`.

    Libraries accept nothing before `response.created`, and no second one. So the engine gets the id, and its own event
    is dropped. Codex counts only events, not comments.
    """

    def __init__(self, facts: Facts) -> None:
        super().__init__(facts)
        self._id = f"resp_{uuid.uuid4().hex}"
        self._created = int(time.time())
        self._is_created = False

    def heartbeat(self, progress: str) -> bytes:  # noqa: ARG002
        """`response.created` the first time, then a `keepalive`."""
        if self._is_created:
            return encode_event(_encode({"type": "keepalive", "sequence_number": 0}), "keepalive")
        self._is_created = True
        created = {
            "type": "response.created",
            "sequence_number": 0,
            "response": self._response("in_progress"),
        }
        return encode_event(_encode(created), "response.created")

    def adapt(self, request: EngineRequest) -> EngineRequest:
        """The request with the id of the response that was created (vLLM's `request_id`)."""
        body = bytes(request.body) if isinstance(request.body, (bytes, bytearray)) else b""
        start, brace, rest = body.partition(b"{")
        if not self._is_created or not brace:
            return request
        return structs.replace(request, body=b'%s{"request_id":%s,%s' % (start, _encode(self._id), rest))

    def edit_opening(self, event: bytes) -> bytes:
        """Nothing for the engine's `response.created`, otherwise the same event."""
        return b"" if self._is_created and is_created_event(event) else event

    def error(self, error: SparkdError) -> bytes:
        """`response.failed` for Codex, then `error` for libraries, some of which ignore the first."""
        # With this code, Codex obeys "try again in N s" in the message; otherwise it tries again at once.
        is_retryable = isinstance(error, Refusal) and error.retry_after is not None
        code = "rate_limit_exceeded" if is_retryable else error.code
        failed = self._response("failed") | {"error": {"code": code, "message": message_in_stream(error)}}
        number = 1 if self._is_created else 0
        fields = msgspec.json.decode(error_data(error, "responses"))
        return encode_event(
            _encode({"type": "response.failed", "sequence_number": number, "response": failed}),
            "response.failed",
        ) + encode_event(_encode(fields | {"sequence_number": number + 1}), "error")

    def _response(self, status: str) -> dict[str, Any]:
        unknown = ("error", "incomplete_details", "instructions", "metadata", "temperature", "top_p", "usage")
        return {
            "id": self._id,
            "object": "response",
            "created_at": self._created,
            "status": status,
            "model": self._facts.model,
            "output": [],
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
            **dict.fromkeys(unknown),
        }


class Blanks(Comments):
    """Blanks before a JSON document."""

    content_type = b"application/json"

    def heartbeat(self, progress: str) -> bytes:  # noqa: ARG002
        """A blank."""
        return b" "

    def error(self, error: SparkdError) -> bytes:
        """The error as a document. Its message says when to retry, because the headers have been sent."""
        return error_body(error, self._facts.dialect, self._facts.request_id, message_in_stream(error))


def encode_event(data: bytes, name: str = "") -> bytes:
    """A server-sent event."""
    return b"event: %s\ndata: %s\n\n" % (name.encode(), data) if name else b"data: %s\n\n" % data

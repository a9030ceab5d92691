"""An engine's answer as Ollama's: an event stream becomes lines of JSON, a document becomes a document."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import msgspec

from sparkd.ollama.documents import encode, encode_line, error_line, finish, make_part
from sparkd.ollama.requests import TranslatedRequest
from sparkd.ollama.times import Timing
from sparkd.ollama.tool_calls import ToolCallCollector

_decode = msgspec.json.Decoder().decode

_REASONS: Final = {"length": "length"}
"""Every other reason is "stop" for Ollama."""

_DONE: Final = b"[DONE]"

ErrorReader = Callable[[bytes], str | None]
"""The message of the error in the data of an event, None if it is not an error."""


class StreamTranslator:
    """Translates one event stream of a chat or a completion. `failed`: it has ended with an error."""

    def __init__(self, request: TranslatedRequest, timing: Timing, read_error: ErrorReader) -> None:
        self._request = request
        self._timing = timing
        self._read_error = read_error
        self._held = b""
        self._calls = ToolCallCollector()
        self._counts = (0, 0)
        self._reason: str | None = None
        self._ended = False
        self.failed = False

    def feed(self, data: bytes, now: float, *, more: bool) -> bytes:
        """Take a piece of the stream; return complete lines. `now` is in seconds of the steady clock of `timing`."""
        data = self._held + data
        end = data.rfind(b"\n") + 1 if more else len(data)
        self._held = data[end:]
        lines = [self._read_line(line, now) for line in data[:end].splitlines()]
        if not more and not self._ended:
            lines.append(self._end(now))
        return b"".join(lines)

    def _read_line(self, line: bytes, now: float) -> bytes:
        if self._ended or not line.startswith(b"data:"):
            return b""
        data = line[5:].strip()
        if data == _DONE:
            return self._end(now)
        if b'"error"' in data or b'{"detail"' in data:
            message = self._read_error(data)
            if message is not None:
                self._ended = self.failed = True
                return error_line(message)
        with suppress(msgspec.DecodeError):
            return self._read_chunk(_decode(data), now)
        return b""

    def _read_chunk(self, chunk: Any, now: float) -> bytes:
        if not isinstance(chunk, dict):
            return b""
        self._counts = _read_usage(chunk) or self._counts
        choice = next(iter(chunk.get("choices") or ()), None)
        if choice is None:
            return b""
        text, thinking, pieces = _read_choice(choice, "delta")
        if self._request.hides_thinking:
            thinking = ""
        lines = b""
        if pieces:
            self._calls.add(pieces)
        if (text or thinking or pieces) and self._timing.first is None:
            self._timing.first = now
        if text or thinking:
            lines = self._encode_part(now, text, thinking)
        if reason := choice.get("finish_reason"):
            self._reason = _REASONS.get(reason, "stop")
            lines += self._encode_calls(now)
        return lines

    def _encode_part(self, now: float, text: str, thinking: str = "") -> bytes:
        request = self._request
        at = self._timing.format_time(now)
        return encode_line(make_part(request.kind, request.name, at, text, thinking=thinking))

    def _encode_calls(self, now: float) -> bytes:
        calls, rest = self._calls.take()
        lines = self._encode_part(now, rest) if rest else b""
        if calls:
            request, at = self._request, self._timing.format_time(now)
            lines += encode_line(make_part(request.kind, request.name, at, tool_calls=calls))
        return lines

    def _end(self, now: float) -> bytes:
        self._ended = True
        calls = self._encode_calls(now)
        request, timing = self._request, self._timing
        part = make_part(request.kind, request.name, timing.format_time(now))
        last = finish(part, self._reason or "stop", self._counts, timing.durations(now))
        return calls + encode_line(last)


def translate_document(request: TranslatedRequest, document: bytes, timing: Timing, now: float) -> bytes:
    """The document of a chat, a completion or embeddings. Raises msgspec.DecodeError if it is not JSON."""
    answer = _decode(document)
    fields: dict[str, Any] = answer if isinstance(answer, dict) else {}
    counts = _read_usage(fields) or (0, 0)
    if request.kind in ("embed", "embeddings"):
        return encode(_translate_embeddings(request, fields, counts[0], timing.durations(now)))
    choice: dict[str, Any] = next(iter(fields.get("choices") or ()), {})
    text, thinking, pieces = _read_choice(choice, "message")
    collector = ToolCallCollector()
    collector.add([{**piece, "index": number} for number, piece in enumerate(pieces)])
    calls, rest = collector.take()
    part = make_part(
        request.kind,
        request.name,
        timing.format_time(now),
        text + rest,
        thinking="" if request.hides_thinking else thinking,
        tool_calls=calls,
    )
    reason = _REASONS.get(choice.get("finish_reason") or "", "stop")
    return encode(finish(part, reason, counts, timing.durations(now)))


def _translate_embeddings(
    request: TranslatedRequest, fields: dict[str, Any], tokens: int, durations: dict[str, int]
) -> dict[str, Any]:
    vectors = [entry.get("embedding") or [] for entry in fields.get("data") or ()]
    if request.kind == "embeddings":
        return {"embedding": vectors[0] if vectors else []}
    return {
        "model": request.name,
        "embeddings": vectors,
        "total_duration": durations["total_duration"],
        "load_duration": durations["load_duration"],
        "prompt_eval_count": tokens,
    }


def _read_choice(choice: dict[str, Any], member: str) -> tuple[str, str, list[dict[str, Any]]]:
    """Text, thinking and tool calls of a choice. A completion has its text beside the finish reason."""
    message = choice.get(member) or {}
    thinking = message.get("reasoning") or message.get("reasoning_content") or ""
    text = message.get("content") or choice.get("text") or ""
    return text, thinking, message.get("tool_calls") or []


def _read_usage(fields: dict[str, Any]) -> tuple[int, int] | None:
    usage = fields.get("usage")
    if not isinstance(usage, dict):
        return None
    return usage.get("prompt_tokens") or 0, usage.get("completion_tokens") or 0

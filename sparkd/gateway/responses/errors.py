"""Renders errors as responses and as the last event of a stream, in the format of the client's API.

OpenAI's: https://platform.openai.com/docs/guides/error-codes; Anthropic's (`/v1/messages`):
https://docs.anthropic.com/en/api/errors. The error of a busy machine whose queue is switched off has the fields that
clients of sparkd's predecessor expect.
"""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime
from typing import Any, Final, Literal

import msgspec

from sparkd.errors import Holder, ModelBusy, Refusal, SparkdError, Unauthorized
from sparkd.ollama.documents import error_document, error_line

Dialect = Literal["openai", "responses", "anthropic", "ollama"]

MAX_RETRY_AFTER: Final = 60.0
"""Seconds. A client that waited for longer would not hear that the model is ready earlier, either."""

_encode = msgspec.json.Encoder().encode

_ANTHROPIC_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def error_body(
    error: SparkdError, dialect: Dialect = "openai", request_id: bytes = b"", message: str | None = None
) -> bytes:
    """The JSON body of an error: `{"error": {"message", "type", "code", "param"}}`, or Anthropic's with its id.

    Ollama's is `{"error": "message"}`. `message` replaces that of the error.
    """
    if dialect == "ollama":
        return error_document(message or error.message)
    if dialect == "anthropic":
        fields = _anthropic(error, request_id, message)
        return _encode(_busy(error) | fields if isinstance(error, ModelBusy) else fields)
    return _encode(_busy(error) if isinstance(error, ModelBusy) else {"error": _openai(error, message)})


def error_event(error: SparkdError, dialect: Dialect, request_id: bytes = b"") -> bytes:
    """What ends a stream whose engine broke off: the error, and the end mark of the API.

    These are server-sent events, after the end of one that may have been cut in the middle; for Ollama, it is a line.
    """
    if dialect == "ollama":
        return error_line(error.message)
    data = b"data: " + error_data(error, dialect, request_id) + b"\n\n"
    return b"\n\n" + (data + b"data: [DONE]\n\n" if dialect == "openai" else b"event: error\n" + data)


def error_data(error: SparkdError, dialect: Dialect, request_id: bytes = b"") -> bytes:
    """The data of a server-sent event with an error. Its message says when to retry: there is no Retry-After."""
    message = message_in_stream(error)
    if dialect == "responses":
        fields = {"type": "error", "code": error.code, "message": message, "param": error.param}
        return _encode(fields | {"error": _openai(error, message)})
    if dialect == "anthropic":
        return _encode(_anthropic(error, request_id, message))
    return _encode({"error": _openai(error, message)})


def message_in_stream(error: SparkdError) -> str:
    """The message of an error in a response that has begun. Codex waits as long as it says."""
    if error.retry_after is None:
        return error.message
    return f"{error.message} Try again in {_whole(error.retry_after)} s."


def error_headers(error: SparkdError) -> dict[str, str]:
    """The headers of an error response; Retry-After in whole seconds, rounded up, if a retry may help then.

    Retry-After is at most a minute: OpenAI's library for Node ignores longer ones, and retries too soon.
    `x-should-retry: false` has the libraries of OpenAI and Anthropic raise the error at once:
    https://github.com/openai/openai-python/blob/main/src/openai/_base_client.py
    """
    headers = {"content-type": "application/json", **error.headers}
    if error.retry_after is not None:
        headers["retry-after"] = str(_whole(min(error.retry_after, MAX_RETRY_AFTER)))
    elif isinstance(error, Refusal) or not error.retry_may_help:
        headers["x-should-retry"] = "false"  # only the owner or another request can change this
    if isinstance(error, Unauthorized):
        headers["www-authenticate"] = "Bearer"
    if isinstance(error, ModelBusy) and error.holders:
        headers |= _busy_headers(error, error.holders[0])
    return headers


def _openai(error: SparkdError, message: str | None = None) -> dict[str, str | None]:
    return {"message": message or error.message, "type": error.type, "code": error.code, "param": error.param}


def _anthropic(error: SparkdError, request_id: bytes, message: str | None = None) -> dict[str, Any]:
    kind = _ANTHROPIC_TYPES.get(error.status)
    if kind is None:
        kind = "invalid_request_error" if error.status < 500 or error.status == 501 else "api_error"
    fields: dict[str, Any] = {
        "type": "error",
        "error": {"type": kind, "message": message or error.message, "code": error.code},
    }
    return fields | ({"request_id": request_id.decode("latin-1")} if request_id else {})


def _whole(seconds: float) -> int:
    return max(1, math.ceil(seconds))


def _busy(error: ModelBusy) -> dict[str, Any]:
    summaries = [_summary(holder) for holder in error.holders]
    return {
        "ok": False,
        "error": "busy",
        "busy": True,
        "message": error.message,
        "code": error.code,
        "currentModel": summaries[0] if summaries else None,
        "running": summaries[1:],
        "retryAfterSec": _whole(error.retry_after or 0),
    }


def _summary(holder: Holder) -> dict[str, Any]:
    """All of the predecessor's fields but `healthUrl`: engines cannot be reached from outside."""
    now = time.time()
    return {
        "name": holder.model,
        "state": holder.state,
        "startedAt": round((now - holder.uptime) * 1000),
        "startedAtISO": _iso(now - holder.uptime),
        "uptimeSec": round(holder.uptime),
        "idleSec": round(holder.idle),
        "lastSeenISO": _iso(now - holder.idle),
        "timeUntilReleaseSec": None if holder.release is None else math.ceil(holder.release),
        "willAutoStop": holder.auto_stop,
    }


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _busy_headers(error: ModelBusy, holder: Holder) -> dict[str, str]:
    release = math.ceil(holder.release) if holder.release else _whole(error.retry_after or 0)
    return {
        "x-busy-model": holder.model,
        "x-model-uptime-sec": str(round(holder.uptime)),
        "x-model-idle-sec": str(round(holder.idle)),
        "x-time-until-release-sec": str(release),
        "x-model-will-auto-stop": "true" if holder.auto_stop else "false",
    }

"""Renders errors as responses and as the last event of a stream, in the format of the client's API.

OpenAI's: https://platform.openai.com/docs/guides/error-codes; Anthropic's (`/v1/messages`):
https://docs.anthropic.com/en/api/errors. The error of a busy machine whose queue is switched off has the fields that
clients of sparkd's predecessor expect.
"""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from sparkd.errors import Holder, ModelBusy, SparkdError, Unauthorized

Dialect = Literal["openai", "responses", "anthropic"]

_encode = msgspec.json.Encoder().encode

_ANTHROPIC_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
}


def error_body(error: SparkdError, dialect: Dialect = "openai") -> bytes:
    """The JSON body of an error: `{"error": {"message", "type", "code", "param"}}`, or Anthropic's."""
    if isinstance(error, ModelBusy):
        return _encode(_busy(error))
    return _encode(_anthropic(error) if dialect == "anthropic" else {"error": _openai(error)})


def error_event(error: SparkdError, dialect: Dialect) -> bytes:
    """Server-sent events that end a stream whose engine broke off: the error, and the end mark of the API."""
    if dialect == "anthropic":
        return b"event: error\ndata: " + _encode(_anthropic(error)) + b"\n\n"
    if dialect == "responses":
        fields = {"type": "error", "code": error.code, "message": error.message, "param": error.param}
        return b"event: error\ndata: " + _encode(fields | {"error": _openai(error)}) + b"\n\n"
    return b"data: " + _encode({"error": _openai(error)}) + b"\n\ndata: [DONE]\n\n"


def error_headers(error: SparkdError) -> dict[str, str]:
    """The headers of an error response; Retry-After in whole seconds, rounded up, if it is known."""
    headers = {"content-type": "application/json", **error.headers}
    if error.retry_after is not None:
        headers["retry-after"] = str(_whole(error.retry_after))
    if isinstance(error, Unauthorized):
        headers["www-authenticate"] = "Bearer"
    if isinstance(error, ModelBusy) and error.holders:
        headers |= _busy_headers(error, error.holders[0])
    return headers


def _openai(error: SparkdError) -> dict[str, str | None]:
    return {"message": error.message, "type": error.type, "code": error.code, "param": error.param}


def _anthropic(error: SparkdError) -> dict[str, Any]:
    kind = _ANTHROPIC_TYPES.get(error.status, "api_error")
    return {"type": "error", "error": {"type": kind, "message": error.message, "code": error.code}}


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

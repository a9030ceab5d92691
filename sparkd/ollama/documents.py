"""Ollama's responses to requests that generate or embed: documents, and lines of a stream."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from sparkd.ollama.requests import Kind

_encode = msgspec.json.Encoder().encode

ToolCall = dict[str, Any]


def encode(document: dict[str, Any]) -> bytes:
    """A document."""
    return _encode(document)


def encode_line(document: dict[str, Any]) -> bytes:
    """A line of a stream."""
    return _encode(document) + b"\n"


def error_document(message: str) -> bytes:
    """An error, as the body of a response."""
    return _encode({"error": message})


def error_line(message: str) -> bytes:
    """An error as the last line of a stream."""
    return error_document(message) + b"\n"


def heartbeat(kind: Kind, name: str, created_at: str, thinking: str = "") -> bytes:
    """A line without content that shows a waiting client that its request is alive. `thinking` is shown to people."""
    return encode_line(make_part(kind, name, created_at, thinking=thinking))


def make_part(
    kind: Kind,
    name: str,
    created_at: str,
    text: str = "",
    *,
    thinking: str = "",
    tool_calls: Sequence[ToolCall] = (),
) -> dict[str, Any]:
    """A part of a response, which is not done."""
    head: dict[str, Any] = {"model": name, "created_at": created_at}
    if kind == "chat":
        message: dict[str, Any] = {"role": "assistant", "content": text}
        if thinking:
            message["thinking"] = thinking
        if tool_calls:
            message["tool_calls"] = list(tool_calls)
        return head | {"message": message, "done": False}
    return head | {"response": text} | ({"thinking": thinking} if thinking else {}) | {"done": False}


def finish(
    part: dict[str, Any], reason: str, counts: tuple[int, int], durations: dict[str, int]
) -> dict[str, Any]:
    """A part as the last one. `counts` are the tokens of the prompt and of the response."""
    return part | {
        "done": True,
        "done_reason": reason,
        "total_duration": durations["total_duration"],
        "load_duration": durations["load_duration"],
        "prompt_eval_count": counts[0],
        "prompt_eval_duration": durations["prompt_eval_duration"],
        "eval_count": counts[1],
        "eval_duration": durations["eval_duration"],
    }


def loaded_document(
    kind: Kind, name: str, created_at: str, reason: Literal["load", "unload"]
) -> dict[str, Any]:
    """The response to a request without a prompt, which only loads or unloads the model."""
    if kind == "embed":
        return {
            "model": name,
            "embeddings": [],
            "total_duration": 0,
            "load_duration": 0,
            "prompt_eval_count": 0,
        }
    if kind == "embeddings":
        return {"embedding": []}
    return make_part(kind, name, created_at) | {"done": True, "done_reason": reason}

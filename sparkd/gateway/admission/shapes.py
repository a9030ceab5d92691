"""What the body of a request looks like: a probe, a request without tools, how its prompts begin.

A probe is a health check that generates: a greeting, and a response of a few tokens. Cherry Studio checks every model
of the list at once, LiteLLM's `/health` does so regularly. Each would load the model.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from sparkd.catalog.client_rules import Shape
from sparkd.rewriting import JsonBody
from sparkd.rewriting.context_window import LIMIT_FIELDS
from sparkd.rewriting.decoding import (
    Fields,
    decode_array,
    decode_object,
    decode_string,
    decode_value,
    is_null,
)
from sparkd.rewriting.rewrite_context import GENERATING_APIS, Api

MAX_TOKENS: Final = 5
"""The most tokens that a probe wants."""

MAX_PROBE: Final = 40
"""The most characters of a probe's prompt, such as "hi", "ping" or "test from litellm"."""

MAX_READ: Final = 256 * 1024
"""Bytes of a conversation whose prompts are read. A longer one is not a small job in the background."""

MAX_PARTS: Final = 8
"""The most parts of a message, or messages at the beginning, that are read."""

_PROMPT_FIELDS: Final = {
    "chat": "messages",
    "messages": "messages",
    "responses": "input",
    "completions": "prompt",
}
_SYSTEM_FIELDS: Final = {"messages": "system", "responses": "instructions"}
_SYSTEM_ROLES: Final = ("system", "developer")
_TOOLS: Final = ("tools", "functions")
_CONTEXT_FIELDS: Final = frozenset(
    {"system", "instructions", "tools", "functions", "suffix", "response_format", "logprobs"}
)
"""Fields of requests that want more than any response, such as a classification in one token."""


def has_shape(shape: Shape, api: Api, body: JsonBody) -> bool:
    """Whether a request has the shape. False for everything doubtful."""
    if shape == "probe":
        return is_probe(api, body)
    return api in GENERATING_APIS and not any(_is_filled(body.fields.get(name)) for name in _TOOLS)


def is_probe(api: Api, body: JsonBody) -> bool:
    """Whether a request most likely only checks that the model responds. False for everything doubtful."""
    field = _PROMPT_FIELDS.get(api)
    if field is None or field not in body.fields or not body.fields.keys().isdisjoint(_CONTEXT_FIELDS):
        return False
    limits = [decode_value(body.fields[name]) for name in LIMIT_FIELDS[api] if name in body.fields]
    if not limits or not all(type(limit) is int and 0 < limit <= MAX_TOKENS for limit in limits):
        return False
    prompt = body.fields[field]
    turns = decode_array(prompt)
    if turns is None:
        text = decode_string(prompt)
    elif len(turns) == 1:
        turn = decode_object(turns[0]) or {}
        text = _read_single_text(turn.get("content")) if _read_role(turn) == "user" else None
    else:
        text = None
    return text is not None and len(text) <= MAX_PROBE


def read_prompts(api: Api, body: JsonBody) -> tuple[str, ...]:
    """The texts of the system prompt and of the last message, without white space at the beginning.

    Empty for a long conversation, and for other APIs.
    """
    value = body.fields.get(_PROMPT_FIELDS.get(api, ""))
    if value is None or len(memoryview(value)) > MAX_READ:
        return ()
    texts = [*_read_texts(body.fields.get(_SYSTEM_FIELDS.get(api, "")))]
    turns = decode_array(value)
    if turns is None:
        texts += [decode_string(value) or ""]
    else:
        for turn in map(decode_object, turns[:MAX_PARTS]):
            if turn is None or _read_role(turn) not in _SYSTEM_ROLES:
                break
            texts += _read_texts(turn.get("content"))
        last = decode_object(turns[-1]) if turns else None
        if last is not None and _read_role(last) == "user":
            texts += _read_texts(last.get("content"))
    return tuple(text.lstrip() for text in texts)


def _read_texts(content: msgspec.Raw | None) -> Iterator[str]:
    """The texts of a message: a string, or the first parts with a text."""
    parts = decode_array(content)
    if parts is None:
        yield decode_string(content) or ""
        return
    for part in parts[:MAX_PARTS]:
        yield decode_string((decode_object(part) or {}).get("text")) or ""


def _read_role(turn: Fields) -> str | None:
    return decode_string(turn.get("role"))


def _read_single_text(content: msgspec.Raw | None) -> str | None:
    """The text of a message: a string, or one part with a text."""
    parts = decode_array(content)
    if parts is None:
        return decode_string(content)
    return decode_string((decode_object(parts[0]) or {}).get("text")) if len(parts) == 1 else None


def _is_filled(value: msgspec.Raw | None) -> bool:
    return not is_null(value) and decode_array(value) != []

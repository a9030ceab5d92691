"""What requests look like: the shapes that rules `[clients.<name>]` name.

A "probe" checks that a model works: a greeting, and a response of a few tokens. Cherry Studio checks every model of the
list at once, LiteLLM's `/health` does so regularly. Each would load the model.
"""

from __future__ import annotations

from typing import Final

import msgspec

from sparkd.catalog.client_rule import Shape
from sparkd.rewriting import JsonBody
from sparkd.rewriting.context_window import LIMIT_FIELDS
from sparkd.rewriting.decoding import decode_array, decode_object, decode_string, decode_value
from sparkd.rewriting.rewrite_context import Api

MAX_TOKENS: Final = 5
"""The most tokens that a probe wants."""

MAX_PROMPT: Final = 40
"""The most characters of a probe's prompt, such as "hi", "ping" or "test from litellm"."""

_EMPTY_TOOLS: Final = 4
"""Bytes of `tools` that have no tool: `[]` or null."""

_PROMPT_FIELDS: Final = {
    "chat": "messages",
    "messages": "messages",
    "responses": "input",
    "completions": "prompt",
}
_CONTEXT_FIELDS: Final = frozenset(
    {"system", "instructions", "tools", "functions", "suffix", "response_format", "logprobs"}
)
"""Fields of requests that want more than any response, such as a classification in one token."""


def has_shape(shape: Shape, api: Api, body: JsonBody) -> bool:
    """Whether a request has a shape."""
    if shape == "probe":
        return _is_probe(api, body)
    tools = body.fields.get("tools", body.fields.get("functions"))
    return tools is None or len(memoryview(tools)) <= _EMPTY_TOOLS


def _is_probe(api: Api, body: JsonBody) -> bool:
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
        text = _read_text(turn.get("content")) if decode_string(turn.get("role")) == "user" else None
    else:
        text = None
    return text is not None and len(text) <= MAX_PROMPT


def _read_text(content: msgspec.Raw | None) -> str | None:
    """The text of a message: a string, or one part with a text."""
    parts = decode_array(content)
    if parts is None:
        return decode_string(content)
    return decode_string((decode_object(parts[0]) or {}).get("text")) if len(parts) == 1 else None

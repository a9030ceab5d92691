"""Finds the first token in an event stream: text, reasoning or a tool call, never a role, a comment or a heartbeat.

Keys in generated texts are escaped, so the bytes below are found only where they are keys.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

_chat = re.compile(
    rb'"(?:content|reasoning|reasoning_content|refusal|text)": ?"[^"]|"tool_calls": ?\[\s*\{|"function_call": ?\{'
)
_text = re.compile(rb'"text": ?"[^"]')

HasToken = Callable[[bytes], bool]
"""Whether a piece of a stream has a token in it."""


def _has_chat_token(data: bytes) -> bool:
    return _chat.search(data) is not None


def _has_text(data: bytes) -> bool:
    return _text.search(data) is not None


def _has_content_delta(data: bytes) -> bool:
    return b'"content_block_delta"' in data


def _has_response_delta(data: bytes) -> bool:
    return b'.delta"' in data


_BY_PATH: Final[dict[bytes, HasToken]] = {
    b"/v1/completions": _has_text,
    b"/v1/messages": _has_content_delta,
    b"/v1/responses": _has_response_delta,
}


def find_detector(target: bytes) -> HasToken:
    """What finds the first token in the stream of an engine for this path and query."""
    return _BY_PATH.get(target.partition(b"?")[0], _has_chat_token)

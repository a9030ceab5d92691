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

TokenFinder = Callable[[bytes], int]
"""Returns where a piece of a stream has its first token, -1 if it has none."""


def _find_in_chat(data: bytes) -> int:
    found = _chat.search(data)
    return -1 if found is None else found.start()


def _find_text(data: bytes) -> int:
    found = _text.search(data)
    return -1 if found is None else found.start()


def _find_content_delta(data: bytes) -> int:
    return data.find(b'"content_block_delta"')


def _find_response_delta(data: bytes) -> int:
    return data.find(b'.delta"')


_BY_PATH: Final[dict[bytes, TokenFinder]] = {
    b"/v1/completions": _find_text,
    b"/v1/messages": _find_content_delta,
    b"/v1/responses": _find_response_delta,
}


def choose_finder(target: bytes) -> TokenFinder:
    """What finds the first token in the stream of an engine for this path and query."""
    return _BY_PATH.get(target.partition(b"?")[0], _find_in_chat)

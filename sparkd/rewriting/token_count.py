"""Counts the tokens of a request's prompt: messages, tools and images."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Struct

from sparkd.rewriting.body import JsonBody
from sparkd.rewriting.decoding import (
    Fields,
    decode_array,
    decode_object,
    decode_string,
    decode_value,
    is_null,
)
from sparkd.rewriting.history.conversation import Conversation
from sparkd.rewriting.image_size import read_image_size
from sparkd.rewriting.images import TURN_FIELDS, is_image_value
from sparkd.rewriting.remembering import remember
from sparkd.rewriting.rewrite_context import RewriteContext
from sparkd.rewriting.token_estimate import estimate_max_tokens, estimate_tokens

TOKENS_PER_MESSAGE = 6
"""Tokens that a chat template puts around a message."""

TOKENS_PER_CONVERSATION = 24
"""Tokens that a chat template adds once: its start, the date, the heading of the response."""

TOKENS_FOR_TOOLS = 120
"""Tokens that a chat template adds if there are tools."""

UNKNOWN_IMAGE_TOKENS = 1500
PATCH_PIXELS = 28
MIN_IMAGE_TOKENS, MAX_IMAGE_TOKENS = 64, 16384
"""An image's tokens are its patches of 28 by 28 pixels, within these bounds, as in Qwen's vision models; others need
fewer. An image of unknown size counts as 1500."""

_TEXT_FIELDS = ("system", "instructions", "messages", "input", "prompt")
_TOOL_FIELDS = ("tools", "functions")
_METADATA_KEYS = frozenset(
    {"type", "role", "id", "call_id", "tool_call_id", "tool_use_id", "cache_control", "status"}
)
_MAX_DEPTH = 16
_encode = msgspec.json.Encoder().encode
_estimate_tools = remember(estimate_tokens)


class PromptTokens(Struct, frozen=True):
    """Tokens of a prompt. `exact`: counted by a tokenizer, not estimated. `least`: the smallest possible number."""

    text: int
    tools: int = 0
    images: int = 0
    least: int = 0
    exact: bool = False

    @property
    def total(self) -> int:
        """The sum."""
        return self.text + self.tools + self.images


def count_prompt_tokens(context: RewriteContext, body: JsonBody) -> PromptTokens:
    """The tokens of a request's prompt, without its response."""
    return _count_without_estimate(context, body) or _PromptCounter(context, body).count()


def count_if_over(context: RewriteContext, body: JsonBody, room: int) -> PromptTokens | None:
    """The tokens of a prompt; None if it certainly has no more than `room`, which costs a third to find out."""
    if count := _count_without_estimate(context, body):
        return count
    counter = _PromptCounter(context, body)
    return None if counter.upper_bound() <= room else counter.count()


def _count_without_estimate(context: RewriteContext, body: JsonBody) -> PromptTokens | None:
    """A count that needs none of the estimate."""
    if context.exact_tokens is not None:
        return PromptTokens(context.exact_tokens, least=context.exact_tokens, exact=True)
    if context.model.rewriting.tokenizer == "length":
        tokens = _estimate_by_length(body)
        return PromptTokens(tokens, least=tokens // 2)
    return None


class _PromptCounter:
    """Counts one prompt. Collects its texts and estimates them together."""

    def __init__(self, context: RewriteContext, body: JsonBody) -> None:
        self._tokenizer = context.model.rewriting.tokenizer
        self._images: list[int] = []
        self._texts: list[bytes] = []
        self._given_tokens = 0
        self._template_tokens = 0 if context.api == "completions" else TOKENS_PER_CONVERSATION
        fields = body.fields
        for name in _TEXT_FIELDS:
            if name in fields:
                self._add_field(body, name)
        self._tools: list[bytes] = []
        if context.model.rewriting.tools != "strip":
            self._tools = [bytes(fields[name]) for name in _TOOL_FIELDS if not is_null(fields.get(name))]

    def upper_bound(self) -> int:
        """An upper bound of the tokens."""
        size = sum(map(len, self._texts)) + sum(map(len, self._tools))
        rest = self._template_tokens + self._given_tokens + TOKENS_FOR_TOOLS + sum(self._images)
        return (
            math.ceil(estimate_max_tokens(size, self._tokenizer)) + 1 + rest
        )  # 1: both parts are rounded up

    def count(self) -> PromptTokens:
        """The tokens."""
        text_tokens = estimate_tokens(b"".join(self._texts), self._tokenizer)
        tool_tokens = _estimate_tools(b"".join(self._tools), self._tokenizer)
        return PromptTokens(
            math.ceil(text_tokens.likely) + self._template_tokens + self._given_tokens,
            math.ceil(tool_tokens.likely) + (TOKENS_FOR_TOOLS if self._tools else 0),
            sum(self._images),
            math.floor(text_tokens.least + tool_tokens.least)
            + self._given_tokens
            + len(self._images) * MIN_IMAGE_TOKENS,
        )

    def _add_field(self, body: JsonBody, name: str) -> None:
        value = body.fields[name]
        if name == "prompt":
            self._add_prompts(value)
            return
        conversation = body.derive(name, Conversation) if name in TURN_FIELDS else None
        if conversation is None or not conversation.is_list:
            self._add_value(value, _MAX_DEPTH)
            return
        turns = conversation.decoded_turns if conversation.values is None else conversation.values
        self._template_tokens += TOKENS_PER_MESSAGE * len(turns)
        self._add_decoded(turns, _MAX_DEPTH)

    def _add_prompts(self, value: msgspec.Raw) -> None:
        """Of several prompts, the longest counts, because each gets its own response. Numbers are tokens."""
        prompts = decode_array(value)
        if prompts is None:
            self._add_value(value, 1)
            return
        lists = [decode_array(prompt) for prompt in prompts]
        texts = [text.encode("utf-8", "replace") for text in map(decode_string, prompts) if text is not None]
        if texts:
            self._texts.append(max(texts, key=len))
        elif any(lists):
            self._given_tokens = max(len(tokens or ()) for tokens in lists)
        else:
            self._given_tokens = len(prompts)

    def _add_value(self, value: msgspec.Raw, depth: int) -> None:
        decoded = decode_value(value)
        if decoded is None:
            self._texts.append(bytes(value))
        else:
            self._add_decoded(decoded, depth)

    def _add_decoded(self, value: Any, depth: int) -> None:
        """Collect the texts and images of a value; `depth` more levels."""
        if isinstance(value, str):
            self._texts.append(value.encode("utf-8", "replace"))
        elif not depth or not isinstance(value, list | dict):
            self._texts.append(_encode(value))
        elif isinstance(value, list):
            for item in value:
                self._add_decoded(item, depth - 1)
        elif is_image_value(value):
            self._images.append(_count_image_tokens(value))
        else:
            for name, inner in value.items():
                if name not in _METADATA_KEYS:
                    self._add_decoded(inner, depth - 1)


def _count_image_tokens(image: dict[str, Any]) -> int:
    size = read_image_size(_read_base64(image))
    if size is None:
        return UNKNOWN_IMAGE_TOKENS
    patches = math.ceil(size[0] / PATCH_PIXELS) * math.ceil(size[1] / PATCH_PIXELS)
    return min(max(patches, MIN_IMAGE_TOKENS), MAX_IMAGE_TOKENS)


def _read_base64(image: dict[str, Any]) -> str:
    """The base64 of an image in any of the three APIs; "" for an image at a URL."""
    source = image.get("source")
    if isinstance(source, dict):
        return _read_text(source.get("data"))
    link = image.get("image_url")
    url = link.get("url") if isinstance(link, dict) else link
    return _read_text(url).partition(";base64,")[2]


def _read_text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _estimate_by_length(body: JsonBody) -> int:
    """The predecessor's estimate: 500, 20 a message, four UTF-16 units a token, 1500 an image."""
    return 500 + sum(20 + _message_length(turn) for turn in decode_array(body.fields.get("messages")) or ())


def _message_length(message: msgspec.Raw) -> int:
    content = (decode_object(message) or {}).get("content")
    text = decode_string(content)
    if text is not None:
        return _text_length(text)
    parts: Iterable[Fields] = filter(None, map(decode_object, decode_array(content) or ()))
    return sum(_part_length(part) for part in parts)


def _part_length(part: Fields) -> int:
    kind = decode_string(part.get("type"))
    if kind == "image_url":
        return UNKNOWN_IMAGE_TOKENS
    return _text_length(decode_string(part.get("text")) or "") if kind == "text" else 0


def _text_length(text: str) -> int:
    return math.ceil(len(text.encode("utf-16-le", "replace")) / 8)

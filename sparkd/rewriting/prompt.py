"""How many tokens a request's prompt has: what is said in it, its tools, its images."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from sparkd.rewriting.body import JsonBody
from sparkd.rewriting.case import Case
from sparkd.rewriting.decoding import Fields, content_of, fields_of, is_null, items_of, text_of
from sparkd.rewriting.estimate import Tokens, most_tokens, tokens_in
from sparkd.rewriting.image_size import image_size
from sparkd.rewriting.images import IMAGES, TURNS

TURN = 6
"""Tokens that a chat template puts around a message."""

CONVERSATION = 24
"""Tokens that a chat template adds once: its beginning, the date, the answer's heading."""

TOOLS = 120
"""Tokens that a chat template says about tools in general."""

UNKNOWN_IMAGE = 1500
PATCH = 28
SMALLEST_IMAGE, LARGEST_IMAGE = 64, 16384
"""An image's tokens are its patches of 28 by 28 pixels, within these bounds, as Qwen's vision models have them; that is
more than others need. One whose size cannot be seen counts as 1500."""

_SAID = ("system", "instructions", "messages", "input", "prompt")
_TOOLS = ("tools", "functions")
_NOT_SAID = frozenset(
    {"type", "role", "id", "call_id", "tool_call_id", "tool_use_id", "cache_control", "status"}
)
_DEEPEST = 16


@dataclass(frozen=True, slots=True)
class Count:
    """Tokens of a prompt. `exact`: counted by a tokenizer, else estimated. `least`: it has surely no fewer."""

    said: int
    tools: int = 0
    images: int = 0
    least: int = 0
    exact: bool = False

    @property
    def total(self) -> int:
        """All of it."""
        return self.said + self.tools + self.images


def count_prompt(case: Case, body: JsonBody) -> Count:
    """The tokens of a request's prompt, before its answer."""
    return _counted(case, body) or _Counting(case, body).count()


def count_beyond(case: Case, body: JsonBody, room: int) -> Count | None:
    """The tokens of a prompt; None if it certainly has no more than `room`, which costs a third to find out."""
    if count := _counted(case, body):
        return count
    counting = _Counting(case, body)
    return None if counting.most() <= room else counting.count()


def _counted(case: Case, body: JsonBody) -> Count | None:
    """A count that needs none of the estimate."""
    if case.counted is not None:
        return Count(case.counted, least=case.counted, exact=True)
    if case.model.rewriting.tokenizer == "quarter":
        said = _quarters(body)
        return Count(said, least=said // 2)
    return None


class _Counting:
    """One prompt being counted. What is said is collected, and estimated in one piece."""

    def __init__(self, case: Case, body: JsonBody) -> None:
        self._tokenizer = case.model.rewriting.tokenizer
        self._images: list[int] = []
        self._texts: list[bytes] = []
        self._given = 0
        self._fixed = 0 if case.api == "completions" else CONVERSATION
        fields = body.fields
        for name in _SAID:
            if name in fields:
                self._field(name, fields[name])
        self._tools: list[bytes] = []
        if case.model.rewriting.tools != "strip":
            self._tools = [bytes(fields[name]) for name in _TOOLS if not is_null(fields.get(name))]

    def most(self) -> int:
        """An upper bound of the tokens."""
        size = sum(map(len, self._texts)) + sum(map(len, self._tools))
        rest = self._fixed + self._given + TOOLS + sum(self._images)
        return math.ceil(most_tokens(size, self._tokenizer)) + 1 + rest  # 1: both parts are rounded up

    def count(self) -> Count:
        """The tokens."""
        said = self._estimate(self._texts)
        tools = self._estimate(self._tools)
        return Count(
            math.ceil(said.likely) + self._fixed + self._given,
            math.ceil(tools.likely) + (TOOLS if self._tools else 0),
            sum(self._images),
            math.floor(said.least + tools.least) + self._given + len(self._images) * SMALLEST_IMAGE,
        )

    def _estimate(self, texts: list[bytes]) -> Tokens:
        return tokens_in(b"".join(texts), self._tokenizer)

    def _field(self, name: str, value: msgspec.Raw) -> None:
        if name == "prompt":
            self._prompts(value)
            return
        content = content_of(value)
        if name in TURNS and isinstance(content, list):
            self._fixed += TURN * len(content)
        self._take(value, content, _DEEPEST)

    def _prompts(self, value: msgspec.Raw) -> None:
        """Of several prompts the longest counts: each is answered on its own. Numbers are tokens already."""
        prompts = items_of(value)
        if prompts is None:
            self._take(value, content_of(value), 1)
            return
        lists = [items_of(prompt) for prompt in prompts]
        texts = [text.encode("utf-8", "replace") for text in map(text_of, prompts) if text is not None]
        if texts:
            self._texts.append(max(texts, key=len))
        elif any(lists):
            self._given = max(len(tokens or ()) for tokens in lists)
        else:
            self._given = len(prompts)

    def _take(self, value: msgspec.Raw, content: str | list[msgspec.Raw] | Fields | None, depth: int) -> None:
        """Collect the texts and images of a value, whose content is given too; `depth` more levels."""
        if isinstance(content, str):
            self._texts.append(content.encode("utf-8", "replace"))
        elif content is None or not depth:
            self._texts.append(bytes(value))
        elif isinstance(content, list):
            for item in content:
                self._take(item, content_of(item), depth - 1)
        elif text_of(content.get("type")) in IMAGES:
            self._images.append(_image_tokens(content))
        else:
            for name, inner in content.items():
                if name not in _NOT_SAID:
                    self._take(inner, content_of(inner), depth - 1)


def _image_tokens(image: Fields) -> int:
    size = image_size(_payload(image))
    if size is None:
        return UNKNOWN_IMAGE
    patches = math.ceil(size[0] / PATCH) * math.ceil(size[1] / PATCH)
    return min(max(patches, SMALLEST_IMAGE), LARGEST_IMAGE)


def _payload(image: Fields) -> str:
    """The base64 of an image in any of the three APIs; nothing for one at an address."""
    source = fields_of(image.get("source"))
    if source is not None:
        return text_of(source.get("data")) or ""
    link = image.get("image_url")
    url = text_of(link) or text_of((fields_of(link) or {}).get("url")) or ""
    return url.partition(";base64,")[2]


def _quarters(body: JsonBody) -> int:
    """The predecessor's estimate: 500, 20 a message, four UTF-16 units a token, 1500 an image."""
    return 500 + sum(20 + _quarter(turn) for turn in items_of(body.fields.get("messages")) or ())


def _quarter(message: msgspec.Raw) -> int:
    content = (fields_of(message) or {}).get("content")
    text = text_of(content)
    if text is not None:
        return _quarter_of(text)
    parts: Iterable[Fields] = filter(None, map(fields_of, items_of(content) or ()))
    return sum(_quarter_of_part(part) for part in parts)


def _quarter_of_part(part: Fields) -> int:
    kind = text_of(part.get("type"))
    if kind == "image_url":
        return UNKNOWN_IMAGE
    return _quarter_of(text_of(part.get("text")) or "") if kind == "text" else 0


def _quarter_of(text: str) -> int:
    return math.ceil(len(text.encode("utf-16-le", "replace")) / 8)

"""Requests that no engine could serve: rejected before a start, each with the status and a part of the message."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from tests.e2e.agents.case import CHAT, COMPLETIONS, HI, MESSAGES, RESPONSES

COLD, SEEING, EMBEDDER = "cold", "seeing", "embedder"
"""Models that no test loads: of text, of images, and of embeddings."""

PAGE = {"origin": "https://evil.example"}


class Rejection(NamedTuple):
    """A request that is rejected. `part` is in the message: the next step, or the field."""

    name: str
    path: str
    body: Mapping[str, Any] | bytes
    part: str
    status: int = 400
    headers: Mapping[str, str] = {"content-type": "application/json"}

    def encode(self) -> bytes:
        """The bytes to send."""
        return (
            self.body if isinstance(self.body, bytes) else json.dumps({"model": COLD, **self.body}).encode()
        )


def list_everywhere() -> Iterator[Rejection]:
    """What is rejected in every API."""
    chat, item = {"messages": [HI]}, {"input": "hi"}
    anthropic, plain = {"messages": [HI], "max_tokens": 40}, {"prompt": "hi"}
    for path, body in ((CHAT, chat), (RESPONSES, item), (MESSAGES, anthropic), (COMPLETIONS, plain)):
        encoded = json.dumps({"model": COLD, **body}).encode()
        yield Rejection(f"{path}: a word for a number", path, {**body, "temperature": "hot"}, "`temperature`")
        yield Rejection(f"{path}: an embedding model", path, {**body, "model": EMBEDDER}, "embed")
        yield Rejection(f"{path}: Latin-1", path, encoded.replace(b"hi", b"h\xe9"), "UTF-8")
        yield Rejection(
            f"{path}: NaN", path, encoded.replace(b"}", b', "temperature": NaN}', 1)[:-1] + b"}", "JSON"
        )
        yield Rejection(f"{path}: a coding", path, encoded, "gzip", 415, {"content-encoding": "br"})
        yield Rejection(f"{path}: another host", path, encoded, "server", 403, {"host": "evil.example:8009"})
        yield Rejection(f"{path}: a web page", path, encoded, "server", 403, PAGE)
        yield Rejection(
            f"{path}: a page's text", path, encoded, "server", 403, {**PAGE, "content-type": "text/plain"}
        )
        field = "input" if path == RESPONSES else "prompt" if path == COMPLETIONS else "messages"
        yield Rejection(f"{path}: nothing to say", path, {**body, field: []}, f"`{field}`")


def list_media() -> Iterator[Rejection]:
    """Images at addresses that an engine must not fetch."""
    for address in (
        "http://127.0.0.1:22/",
        "http://169.254.169.254/",
        "file:///etc/passwd",
        "https://x.example/a.png",
    ):
        part = {"type": "image_url", "image_url": {"url": address}}
        yield Rejection(
            f"chat: {address}",
            CHAT,
            {"model": SEEING, "messages": [{"role": "user", "content": [part]}]},
            "data URL",
        )
        item = {"role": "user", "content": [{"type": "input_image", "image_url": address}]}
        yield Rejection(f"responses: {address}", RESPONSES, {"model": SEEING, "input": [item]}, "data URL")
        block = {"type": "image", "source": {"type": "url", "url": address}}
        turn = {"role": "user", "content": [block]}
        yield Rejection(
            f"messages: {address}",
            MESSAGES,
            {"model": SEEING, "messages": [turn], "max_tokens": 40},
            "data URL",
        )


def list_others() -> Iterator[Rejection]:
    """Too much, wrong paths, the wrong kind of model, and what needs another vendor's server."""
    chat = {"messages": [HI]}
    yield Rejection("too many responses", CHAT, {**chat, "n": 16000}, "limits.n")
    yield Rejection(
        "too many biases", CHAT, {**chat, "logit_bias": {str(n): 1 for n in range(2000)}}, "limits.logit_bias"
    )
    yield Rejection(
        "the prompt's alternatives", CHAT, {**chat, "prompt_logprobs": 50}, "limits.prompt_logprobs"
    )
    yield Rejection("too many completions", COMPLETIONS, {"prompt": "hi", "n": 16000}, "limits.n")
    yield Rejection("a bias for a text", CHAT, {**chat, "logit_bias": {"hello": 5}}, "token ids")
    yield Rejection(
        "a client's template", CHAT, {**chat, "chat_template": "x"}, "trust-request-chat-template"
    )
    yield Rejection(
        "an unknown format", CHAT, {**chat, "response_format": {"type": "regex"}}, "structured_outputs"
    )
    for name, value in (
        ("previous_response_id", "r"),
        ("background", True),
        ("conversation", "c"),
        ("prompt", {"id": "p"}),
    ):
        yield Rejection(name, RESPONSES, {"input": "hi", name: value}, "`input`")
    yield Rejection("a misspelt path", "/v1/chat/completion", chat, CHAT, 404)
    yield Rejection("embeddings of a chat model", "/v1/embeddings", {"input": "hi"}, EMBEDDER)
    yield Rejection(
        "token ids", "/v1/embeddings", {"model": EMBEDDER, "input": [[15339]]}, "check_embedding_ctx_length"
    )
    yield Rejection("a health check", CHAT, {**chat, "max_tokens": 1}, "load", 503)
    yield Rejection(
        "deep nesting",
        CHAT,
        b'{"model":"cold","messages":[],"x":' + b"[" * 5000 + b"]" * 5000 + b"}",
        "nested",
    )


REJECTIONS = (*list_everywhere(), *list_media(), *list_others())

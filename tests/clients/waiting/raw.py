"""The bytes of a streamed response, with the time at which each piece arrived."""

from __future__ import annotations

import http.client
import json
import threading
import time
from typing import Any, Final, NamedTuple

from tests.clients.waiting.libraries.prompts import BLOCK_TOOLS, CHAT_TOOLS, ITEM_TOOLS, TEXT

HANG: Final = 240.0
"""Seconds after which a stream that says nothing has failed; this only limits a hang."""


def build_body(api: str, model: str, prompt: str = TEXT) -> tuple[str, dict[str, Any]]:
    """Return the path and the body of a streamed request."""
    messages = [{"role": "user", "content": prompt}]
    shared: dict[str, Any] = {"model": model, "stream": True}
    bodies: dict[str, tuple[str, dict[str, Any]]] = {
        "chat": ("/v1/chat/completions", {"messages": messages, "tools": CHAT_TOOLS}),
        "completions": ("/v1/completions", {"prompt": prompt, "max_tokens": 5}),
        "messages": ("/v1/messages", {"messages": messages, "tools": BLOCK_TOOLS, "max_tokens": 100}),
        "responses": ("/v1/responses", {"input": prompt, "tools": ITEM_TOOLS, "store": False}),
    }
    path, fields = bodies[api]
    return path, {**shared, **fields}


class Piece(NamedTuple):
    """Bytes that arrived together, `seconds` after the request was sent."""

    seconds: float
    data: bytes


class RawStream:
    """A request in a thread, and everything that arrives for it."""

    def __init__(self, api: str, prompt: str = TEXT) -> None:
        self.api = api
        self.prompt = prompt
        self.status = 0
        self.headers: dict[str, str] = {}
        self.pieces: list[Piece] = []
        self._thread: threading.Thread

    @property
    def data(self) -> bytes:
        return b"".join(piece.data for piece in self.pieces)

    def start(self, port: int, model: str) -> None:
        self._thread = threading.Thread(target=self._read, args=(port, model))
        self._thread.start()

    def join(self) -> None:
        self._thread.join(HANG)
        assert not self._thread.is_alive(), f"{self.api} hangs: {self.data!r}"

    def _read(self, port: int, model: str) -> None:
        path, body = build_body(self.api, model, self.prompt)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=HANG)
        started = time.monotonic()
        connection.request("POST", path, json.dumps(body), {"content-type": "application/json"})
        response = connection.getresponse()
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        while data := response.read1(65536):
            self.pieces.append(Piece(time.monotonic() - started, data))
        connection.close()

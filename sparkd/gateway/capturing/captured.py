"""A captured request: plain data, and how long content is made shorter."""

from __future__ import annotations

import re
from typing import Final

from msgspec import Struct

LARGEST: Final = 1024 * 1024
"""Bytes of one body that are kept."""

_SCANNED: Final = 8 * 1024 * 1024
"""Bytes of a body in which payloads are looked for: about 10 ms."""

_payload = re.compile(rb"[A-Za-z0-9+/_-]{512,}={0,2}")
"""Base64, such as an image in a data URL. Text has blanks."""

_KEPT: Final = 24
"""Bytes of a payload that are kept."""


class CapturedBody(Struct, frozen=True, kw_only=True):
    """A body as text. `size` is its length in bytes before it was made shorter; `cut`: its end is missing."""

    text: str
    size: int
    cut: bool = False


class CaptureRule(Struct, frozen=True, kw_only=True):
    """Whose requests are captured: those of one client (the name of a key or of a program), or for one model.

    `began` and `until` are seconds since the epoch.
    """

    began: float
    until: float
    client: str | None = None
    model: str | None = None

    @property
    def subject(self) -> str:
        """Whose requests, for a sentence."""
        if self.model is not None:
            return f'requests for the model "{self.model}"'
        return f'requests of the client "{self.client}"'

    def concerns(self, client: str, program: str, model: str | None) -> bool:
        """Whether a request is to be captured. `model` is None as long as it is unknown."""
        if self.client is not None:
            return self.client in (client, program)
        return model is None or model == self.model


class CapturedRequest(Struct, frozen=True, kw_only=True):
    """A request that has ended. `received` is its body as the client sent it, `sent` as the engine got it, `response`
    what the engine answered; each is None if there was none, or if it was no JSON."""

    id: int
    ended: float
    request: str
    model: str
    asked: str
    client: str
    program: str
    endpoint: str
    status: int
    code: str
    seconds: float
    rewrites: tuple[str, ...]
    received: CapturedBody | None = None
    sent: CapturedBody | None = None
    response: CapturedBody | None = None

    @property
    def size(self) -> int:
        """Characters of its bodies."""
        return sum(len(body.text) for body in (self.received, self.sent, self.response) if body is not None)


def shorten(data: bytes | bytearray, size: int | None = None) -> CapturedBody:
    """The body without payloads, and without what is beyond LARGEST. `size` is its length, if `data` is only a part."""
    size = len(data) if size is None else size
    kept = _payload.sub(_abbreviate, bytes(data[:_SCANNED]))
    is_cut = len(kept) > LARGEST or size > _SCANNED
    return CapturedBody(text=kept[:LARGEST].decode("utf-8", "replace"), size=size, cut=is_cut)


def _abbreviate(match: re.Match[bytes]) -> bytes:
    payload = match[0]
    return b"%b...(%d characters)" % (payload[:_KEPT], len(payload))

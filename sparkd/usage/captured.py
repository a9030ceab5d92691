"""Captured requests: what clients have sent, in memory for minutes. Plain frozen data."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct

LONGEST_MINUTES: Final = 60


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
    what the engine answered; each is None if there was none, or if it was not JSON."""

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


class CaptureOrder(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a POST: one client, by the name of its key or program, or one model."""

    minutes: Annotated[float, Meta(gt=0, le=LONGEST_MINUTES)] = 10
    client: str | None = None
    model: str | None = None


class CaptureRow(Struct, frozen=True, kw_only=True):
    """A captured request without its bodies; their sizes are bytes, None if there is none."""

    id: int
    ended: float
    request: str
    model: str
    client: str
    program: str
    endpoint: str
    status: int
    code: str
    seconds: float
    received: int | None
    sent: int | None
    response: int | None


class CaptureList(Struct, frozen=True):
    """`rule` is None if nothing is captured now. `bytes` is about the memory that is used."""

    rule: CaptureRule | None
    requests: list[CaptureRow]
    bytes: int

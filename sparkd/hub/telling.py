"""What the process that fetches tells whoever started it: a line of JSON each on its standard output."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Struct

from sparkd.catalog.quantities import GIB, MIB
from sparkd.errors import FetchFailed, FetchReason

Step = Literal["asking", "waiting", "fetching", "verifying"]
"""The hub is asked what there is; another process has the lock; files arrive; files are read again."""

INTERVAL = 0.5
"""Seconds between two lines."""


class Progress(Struct, frozen=True, kw_only=True, tag="progress"):
    """How far it is, in bytes; `left` in seconds, None where nobody can say yet."""

    step: Step = "asking"
    source: str = ""
    done: int = 0
    total: int = 0
    left: float | None = None

    @property
    def share(self) -> float | None:
        """0 to 1, None while the total is not known."""
        return min(1.0, self.done / self.total) if self.total else None


class Done(Struct, frozen=True, kw_only=True, tag="done"):
    """Everything is there and whole. `fetched` bytes came through the network; `notes` are for a person."""

    fetched: int = 0
    commits: dict[str, str] = {}
    notes: tuple[str, ...] = ()


class Failed(Struct, frozen=True, kw_only=True, tag="failed"):
    """It ended with what could not be helped."""

    reason: FetchReason
    message: str
    retry_after: float | None = None


Told = Progress | Done | Failed


def failure_of(last: Failed | None, status: int | None) -> FetchFailed:
    """Why a process that has ended with this last word, or with none, and that exit status has not fetched all."""
    if last is None:
        return FetchFailed(f"The download process exited ({status}) without an error message.")
    return FetchFailed(last.message, reason=last.reason, retry_after=last.retry_after)


def amount(count: int) -> str:
    """Bytes for a person: "12.8 GiB", "340 MiB"."""
    return f"{count / GIB:.1f} GiB" if count >= GIB else f"{-(-count // MIB)} MiB"


_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Told] = msgspec.json.Decoder(Told)


def line(told: Told) -> bytes:
    """One of them as it is written."""
    return _encoder.encode(told) + b"\n"


def read_line(text: bytes) -> Told | None:
    """One of them as it was written; None for anything else, such as a warning of a library."""
    try:
        return _decoder.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None

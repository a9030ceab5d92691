"""The messages of the download process to its parent: lines of JSON on its standard output."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Struct

from sparkd.catalog.quantities import GIB, MIB
from sparkd.errors import DownloadFailed, DownloadFailureReason

DownloadStep = Literal["listing", "waiting", "downloading", "verifying"]
"""Listing files on the hub; waiting for the lock; downloading; reading files again."""

INTERVAL = 0.5
"""Seconds between two messages."""


class Progress(Struct, frozen=True, kw_only=True, tag="progress"):
    """The progress, in bytes. `seconds_left` is None while unknown."""

    step: DownloadStep = "listing"
    source: str = ""
    done: int = 0
    total: int = 0
    seconds_left: float | None = None

    @property
    def share(self) -> float | None:
        """0 to 1, None while the total is unknown."""
        return min(1.0, self.done / self.total) if self.total else None


class Done(Struct, frozen=True, kw_only=True, tag="done"):
    """Everything is complete. `downloaded` bytes were downloaded. `notes` are for people."""

    downloaded: int = 0
    commits: dict[str, str] = {}
    notes: tuple[str, ...] = ()


class Failed(Struct, frozen=True, kw_only=True, tag="failed"):
    """The download failed."""

    reason: DownloadFailureReason
    message: str
    retry_after: float | None = None


Message = Progress | Done | Failed


def make_error(last: Failed | None, status: int | None) -> DownloadFailed:
    """The error of a process that exited with this last message, or without one, and with this status."""
    if last is None:
        return DownloadFailed(f"The download process exited ({status}) without an error message.")
    return DownloadFailed(last.message, reason=last.reason, retry_after=last.retry_after)


def format_bytes(count: int) -> str:
    """Bytes as text for people: "12.8 GiB", "340 MiB"."""
    return f"{count / GIB:.1f} GiB" if count >= GIB else f"{-(-count // MIB)} MiB"


_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Message] = msgspec.json.Decoder(Message)


def encode_line(message: Message) -> bytes:
    """Encode a message."""
    return _encoder.encode(message) + b"\n"


def decode_line(text: bytes) -> Message | None:
    """Decode a message; None for anything else, such as a warning of a library."""
    try:
        return _decoder.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None

"""The state of files on disk, as plain values that the daemon returns and sparkctl prints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

FileState = Literal["complete", "incomplete", "absent", "unknown"]


class SourceOnDisk(Struct, frozen=True, kw_only=True):
    """The state on disk of one source, or of tiktoken's encodings.

    `size` is its size on disk in bytes, partial files included. `missing` lists missing and incomplete files.
    `bytes_left` is the number of bytes to download, None if unknown. `downloading`: a process is downloading it now.
    "unknown": this user may not read the folder.
    """

    source: str
    state: FileState
    size: int = 0
    missing: tuple[str, ...] = ()
    bytes_left: int | None = None
    downloading: bool = False


def combine_states(parts: Sequence[SourceOnDisk]) -> FileState:
    """The state of a whole model. Its own source is first: without that, the model is absent."""
    if parts and parts[0].state in ("absent", "unknown"):
        return parts[0].state
    return "complete" if all(part.state in ("complete", "unknown") for part in parts) else "incomplete"


class ModelFiles(Struct, frozen=True, kw_only=True):
    """All parts of one model of the catalogue. `model` is None for a repository that no model needs."""

    model: str | None = None
    enabled: bool = True
    parts: tuple[SourceOnDisk, ...] = ()


class RemovalResult(Struct, frozen=True, kw_only=True):
    """The result of a removal, in bytes."""

    freed: int

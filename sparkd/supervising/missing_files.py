"""The error for requests of a model whose files are not on disk."""

from __future__ import annotations

from typing import Final

from sparkd.catalog.definitions import Model
from sparkd.errors import FilesMissing, ModelDownloading
from sparkd.hub.files import SourceOnDisk, combine_states
from sparkd.hub.messages import format_bytes

DEFAULT_RETRY: Final = 60.0
"""Seconds after which a client should retry, if the duration of the download is unknown."""


def missing_files_error(model: Model, parts: list[SourceOnDisk]) -> FilesMissing | ModelDownloading:
    """Return the error for a request of a model that is not on disk, with the command that downloads it."""
    folders = [
        part for part in parts if part.source.startswith("/") and part.state in ("absent", "incomplete")
    ]
    if folders:
        part = folders[0]
        problem = f"does not contain {part.missing[0]}" if part.missing else "does not exist"
        text = f'Model "{model.id}" is not on disk: its source {part.source} {problem}.'
        return FilesMissing(text, param="model")
    if any(part.downloading for part in parts):
        text = f'Model "{model.id}" is being downloaded.'
        return ModelDownloading(text, param="model", retry_after=DEFAULT_RETRY)
    remaining = [part.bytes_left for part in parts if part.state in ("absent", "incomplete")]
    # If the size of one part is unknown, the sum of the others would be misleading.
    known = remaining and None not in remaining
    size = f" ({format_bytes(sum(left or 0 for left in remaining))})" if known else ""
    state = "only partly on disk" if combine_states(parts) == "incomplete" else "not on disk"
    text = f'Model "{model.id}" is {state}. Run `sparkctl pull {model.id}` to download it{size}.'
    return FilesMissing(text, param="model")

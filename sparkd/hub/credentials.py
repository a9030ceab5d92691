"""Finds the token for gated and private repositories."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

FILE_NAME: Final = "hub-token"
"""In `paths.state`: for a daemon without its own environment and home."""


def find_token(environ: Mapping[str, str], state: Path) -> str | None:
    """HF_TOKEN, or the first of: the file HF_TOKEN_PATH, `<paths.state>/hub-token`, the file of `hf auth login`."""
    if token := environ.get("HF_TOKEN", "").strip():
        return token
    for path in _files(environ, state):
        with suppress(OSError, UnicodeDecodeError):
            if token := path.read_text().strip():
                return token
    return None


def _files(environ: Mapping[str, str], state: Path) -> Iterator[Path]:
    if named := environ.get("HF_TOKEN_PATH"):
        yield Path(named)
    yield state / FILE_NAME
    if home := environ.get("HF_HOME"):
        yield Path(home) / "token"
    elif environ.get("HOME"):
        yield Path(environ["HOME"]) / ".cache" / "huggingface" / "token"

"""tiktoken's encodings, which GPT-OSS needs on disk: small files, verified by their digests."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Final

from msgspec import Struct

from sparkd.hub.layout import encodings_folder

BASE_URL: Final = "https://openaipublic.blob.core.windows.net/encodings/"
"""OpenAI's address for them; TIKTOKEN_ENCODINGS_BASE in the environment sets another one."""


class PublishedFile(Struct, frozen=True):
    """A published file: its bytes and its SHA-256."""

    size: int
    digest: str


PUBLISHED: Final[Mapping[str, PublishedFile]] = MappingProxyType(
    {
        "cl100k_base": PublishedFile(
            1_681_126, "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7"
        ),
        "o200k_base": PublishedFile(
            3_613_922, "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"
        ),
    }
)
"""Digests from tiktoken (tiktoken_ext/openai_public.py)."""


def encoding_path(name: str, models: Path) -> Path:
    """The path of an encoding, whether it exists or not."""
    return encodings_folder(models) / f"{name}.tiktoken"


def find_missing(names: Iterable[str], models: Path) -> list[str]:
    """The encodings that are missing or differ from the published file. Reads 5 MB. Raises PermissionError."""
    return [name for name in names if _digest(encoding_path(name, models)) != PUBLISHED[name].digest]


def _digest(path: Path) -> str | None:
    with suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return hashlib.sha256(path.read_bytes()).hexdigest()
    return None

"""The page's files, read once: after an upgrade on disk, a running sparkd still serves a page that matches its API."""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from msgspec import Struct

STATIC: Final = Path(__file__).resolve().parent / "static"

INDEX: Final = "index.html"

MEDIA_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/vnd.microsoft.icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".md": "text/plain; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}
"""The files that a browser gets, by suffix. Any other file in the folder is not served."""

LICENSES: Final = ("LICENSE", "LICENCE", "COPYING", "NOTICE")
"""How names of files without a suffix begin that are served as text."""

_COMPRESSED: Final = ("text/", "application/json", "application/manifest", "image/svg")
_IMPORT_MAP: Final = re.compile(rb'<script type="importmap">(.*?)</script>', re.DOTALL)


class File(Struct, frozen=True):
    """A file as it is served. `gzipped` is None if compression does not pay. `is_forever`: its path has its version."""

    media_type: str
    body: bytes
    gzipped: bytes | None
    digest: str
    is_forever: bool


class Files(Struct, frozen=True):
    """All files by their path below `/ui/`, and the digest of the page's import map as a source of scripts in its
    Content-Security-Policy, "" if it has none."""

    by_path: Mapping[str, File]
    import_map: str


class FileStore:
    """Reads the folder at the first request, in a thread, and keeps it: half a megabyte."""

    def __init__(self, folder: Path = STATIC) -> None:
        self._folder = folder
        self._reading: asyncio.Task[Files] | None = None

    async def read(self) -> Files:
        """The files. Raises OSError."""
        if self._reading is None or (self._reading.done() and self._reading.exception()):
            self._reading = asyncio.create_task(asyncio.to_thread(read_files, self._folder), name="page")
        return await asyncio.shield(self._reading)


def read_files(folder: Path) -> Files:
    """Read and compress all files of a folder. Takes some 50 ms. Raises OSError."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        media_type = _media_type(path)
        if media_type is not None and path.is_file() and path.resolve().is_relative_to(folder.resolve()):
            found[name] = _make_file(name, path.read_bytes(), media_type)
    index = found.get(INDEX)
    return Files(found, hash_import_map(index.body) if index else "")


def hash_import_map(page: bytes) -> str:
    """The digest of a page's import map, as a Content-Security-Policy names it: an import map cannot be a file."""
    found = _IMPORT_MAP.search(page)
    if found is None:
        return ""
    digest = base64.b64encode(hashlib.sha256(found[1]).digest()).decode()
    return f"sha256-{digest}"


def _media_type(path: Path) -> str | None:
    if any(part.startswith(".") for part in path.parts[-2:]):
        return None
    if path.suffix in MEDIA_TYPES:
        return MEDIA_TYPES[path.suffix]
    return "text/plain; charset=utf-8" if path.name.startswith(LICENSES) else None


def _make_file(name: str, body: bytes, media_type: str) -> File:
    gzipped = gzip.compress(body, 9, mtime=0) if media_type.startswith(_COMPRESSED) else body
    digest = hashlib.sha256(body).hexdigest()[:32]
    return File(
        media_type,
        body,
        gzipped if len(gzipped) < len(body) else None,
        digest,
        is_forever=name.startswith("vendor/"),
    )

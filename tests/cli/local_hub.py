"""A hub of our own on a port of this machine: lists repositories and hands out their files as the real one does."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit


@dataclass
class Repository:
    """Files by name. A number stands for a file of so many bytes that nobody may ask for."""

    files: dict[str, bytes | int] = field(default_factory=dict)
    revisions: tuple[str, ...] = ("main",)
    gated: bool = False
    listed: bool = True
    truncates: bool = False


@dataclass
class LocalHub:
    """What it has, what it was asked, and the token that opens gated repositories."""

    address: str
    repositories: dict[str, Repository] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    token: str = "hf_right"

    def answer(self, path: str, token: str) -> tuple[int, str, bytes, Repository | None]:
        """Status, error code, body, and the repository that it is from."""
        self.asked.append(path)
        self.tokens.add(token)
        parts = [unquote(part) for part in path.strip("/").split("/")]
        listing = parts[:2] == ["api", "models"]
        name, rest = "/".join(parts[2:4] if listing else parts[:2]), parts[4:] if listing else parts[2:]
        found = self.repositories.get(name)
        if found is None:
            return 401, "RepoNotFound", b"", None  # the real one does not say which names are private
        if found.gated and token != self.token:
            return 401, "GatedRepo", b"", None
        if len(rest) < 2 or rest[1] not in found.revisions:
            return 404, "RevisionNotFound", b"", None
        if listing:
            return self._listing(found)
        data = found.files.get(rest[2])
        assert not isinstance(data, int), f"{path} is weights, and nobody should ask for them"
        return (404, "EntryNotFound", b"", None) if data is None else (200, "", data, found)

    def _listing(self, found: Repository) -> tuple[int, str, bytes, Repository | None]:
        if not found.listed:
            return 404, "", b"", None
        sizes = {name: data if isinstance(data, int) else len(data) for name, data in found.files.items()}
        siblings = [{"rfilename": name, "size": size} for name, size in sizes.items()]
        return 200, "", json.dumps({"siblings": siblings}).encode(), None


@contextmanager
def local_hub() -> Iterator[LocalHub]:
    """One that answers while the block runs."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
            status, code, body, repository = hub.answer(urlsplit(self.path).path, token)
            self.send_response(status)
            if code:
                self.send_header("X-Error-Code", code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if repository is not None and repository.truncates:
                time.sleep(0.05)
                self.wfile.write(body[: len(body) // 2])
                return  # and goes away in the middle
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub = LocalHub(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

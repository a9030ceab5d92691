"""A hub of our own: the routes, headers and redirects that huggingface_hub's client wants, and their faults.

GET  /api/models/{org}/{name}/revision/{revision}?blobs=True   names, sizes, digests
GET  /{org}/{name}/resolve/{commit}/{path}                     the file, or for LFS a redirect to
GET  /cdn/{sha256}                                             its bytes, by Range too
GET  /encodings/{name}.tiktoken
"""

from __future__ import annotations

import hashlib
import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "a" * 40
LFS_ENDINGS = (".safetensors", ".bin", ".gguf")


def safetensors(size: int, seed: int = 0) -> bytes:
    """A file of the format, with one tensor of `size` bytes."""
    header = json.dumps({"t": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}).encode()
    body = bytes((i * 7 + seed) % 251 for i in range(min(size, 251))) * (size // 251 + 1)
    return len(header).to_bytes(8, "little") + header + body[:size]


def a_repository(shards: int = 2, size: int = 200_000) -> dict[str, bytes]:
    """What a model's repository has, and a good deal that no engine needs."""
    names = [f"model-{i:05}-of-{shards:05}.safetensors" for i in range(1, shards + 1)]
    index = {"metadata": {}, "weight_map": {f"layer.{i}": name for i, name in enumerate(names)}}
    return {
        **{name: safetensors(size, i) for i, name in enumerate(names)},
        "model.safetensors.index.json": json.dumps(index).encode(),
        "config.json": b'{"model_type": "llama"}',
        "tokenizer.json": b"{}",
        "chat_template.jinja": b"{{ messages }}",
        "modeling.py": b"",
        "1_Pooling/config.json": b'{"pooling": true}',
        "README.md": b"# A model",
        "pytorch_model.bin": b"the same once more" * 1000,
        "original/consolidated.00.pth": b"and once more" * 1000,
        "onnx/model.onnx": b"and more",
    }


@dataclass
class Faults:
    """What goes wrong; a count goes down with each time it does."""

    status: dict[str, tuple[int, dict[str, str], int]] = field(default_factory=dict)
    """By a part of the path: status, headers, how often."""
    cut_after: int = 0
    """Bytes of a body after which the connection is cut; each request for it, as long as `cuts` lasts."""
    cuts: int = 0
    stall_after: int = 0
    stalls: int = 0
    wrong: int = 0
    """How often an LFS file has a wrong byte."""
    ignore_range: bool = False
    garbage: bool = False
    """Every answer is a login page."""
    hold_after: int | None = None
    """Where in a file nothing more is sent until `Hub.release()`."""


class Hub:
    """One hub on a port of its own. `asked` has every request: method, path, Range, and who asks."""

    def __init__(self) -> None:
        self.repositories: dict[str, dict[str, bytes]] = {}
        self.commits: dict[str, str] = {}
        self.encodings: dict[str, bytes] = {}
        self.faults = Faults()
        self.asked: list[tuple[str, str, str, str]] = []
        self.lock = threading.Lock()
        self.released = threading.Event()

    def release(self) -> None:
        """Send the rest of every body that is held back, and hold back no other."""
        self.faults.hold_after = None
        self.released.set()

    def add(self, source: str, files: dict[str, bytes], commit: str = COMMIT) -> None:
        self.repositories[source] = files
        self.commits[source] = commit

    def requests(self, word: str) -> list[tuple[str, str, str, str]]:
        return [one for one in self.asked if word in one[1]]

    url: str


@contextmanager
def running_hub() -> Iterator[Hub]:
    """A hub that answers until the block ends."""
    hub = Hub()

    class Handler(_Handler):
        house = hub

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.release()
        server.shutdown()
        server.server_close()
        thread.join()


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def git_digest(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    house: Hub

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        hub, path = self.house, unquote(urlsplit(self.path).path)
        result = self.headers.get("Range", ""), self.headers.get("Authorization", "")
        with hub.lock:
            hub.asked.append((self.command, path, *result))
            fault = next((word for word in hub.faults.status if word in path), None)
            if fault:
                status, headers, times = hub.faults.status[fault]
                hub.faults.status[fault] = (status, headers, times - 1)
                if times <= 1:
                    del hub.faults.status[fault]
        if fault:
            self._answer(status, headers, b'{"error": "no"}')
        elif hub.faults.garbage:
            self._answer(200, {"content-type": "text/html"}, b"<html>Please log in to HotelNet</html>")
        elif found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/revision/(.+)", path):
            self._list(*found.groups())
        elif found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            self._resolve(*found.groups())
        elif path.startswith("/cdn/"):
            self._lfs(path.removeprefix("/cdn/"))
        elif path.startswith("/encodings/"):
            data = hub.encodings.get(path.rpartition("/")[2])
            self._body(data) if data is not None else self._answer(404, {}, b"")
        else:
            self._answer(404, {"X-Error-Code": "EntryNotFound"}, b"")

    def _list(self, source: str, revision: str) -> None:
        files = self.house.repositories.get(source)
        if files is None:
            self._answer(
                401, {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"}, b"{}"
            )
            return
        commit = self.house.commits[source]
        if revision not in ("main", "v1", commit):
            self._answer(404, {"X-Error-Code": "RevisionNotFound"}, b"{}")
            return
        siblings = []
        for name, data in files.items():
            one: dict[str, Any] = {"rfilename": name, "size": len(data), "blobId": git_digest(data)}
            if name.endswith(LFS_ENDINGS):
                one["lfs"] = {"sha256": digest(data), "size": len(data), "pointerSize": 130}
            siblings.append(one)
        result = {
            "id": source,
            "modelId": source,
            "sha": commit,
            "siblings": siblings,
            "tags": [],
            "private": False,
        }
        self._answer(200, {"content-type": "application/json"}, json.dumps(result).encode())

    def _resolve(self, source: str, commit: str, path: str) -> None:
        data = self.house.repositories.get(source, {}).get(path)
        if data is None or commit != self.house.commits[source]:
            self._answer(404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit}, b"")
        elif path.endswith(LFS_ENDINGS):
            headers = {
                "Location": f"{self.house.url.replace('127.0.0.1', 'localhost')}/cdn/{digest(data)}",
                "X-Repo-Commit": commit,
                "X-Linked-ETag": f'"{digest(data)}"',
                "X-Linked-Size": str(len(data)),
            }
            self._answer(302, headers, b"")
        else:
            self._body(data, {"X-Repo-Commit": commit, "ETag": f'"{git_digest(data)}"'})

    def _lfs(self, wanted: str) -> None:
        every = (data for files in self.house.repositories.values() for data in files.values())
        data = next((data for data in every if digest(data) == wanted), None)
        if data is None:
            self._answer(404, {}, b"")
            return
        if self._use_fault("wrong"):
            data = data[:-3] + bytes([data[-3] ^ 1]) + data[-2:]
        self._body(data, {"ETag": f'"{wanted}"'})

    def _use_fault(self, name: str) -> bool:
        with self.house.lock:
            left = getattr(self.house.faults, name)
            if left > 0:
                setattr(self.house.faults, name, left - 1)
        return bool(left > 0)

    def _body(self, data: bytes, headers: dict[str, str] | None = None) -> None:
        start = 0
        found = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if found and not self.house.faults.ignore_range:
            start = int(found[1])
        more = {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"} if start else {}
        self.send_response(206 if start else 200)
        for name, value in {**(headers or {}), **more, "Content-Length": str(len(data) - start)}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self._send(data[start:], start)

    def _send(self, body: bytes, start: int) -> None:
        faults, hold_after = self.house.faults, self.house.faults.hold_after
        cut = faults.cut_after if len(body) > faults.cut_after and self._use_fault("cuts") else None
        stall = faults.stall_after if len(body) > faults.stall_after and self._use_fault("stalls") else None
        try:
            for at in range(0, len(body), 16384):
                if stall is not None and at >= stall:
                    self.house.released.wait()
                if hold_after is not None and start + at >= hold_after:
                    self.house.released.wait()
                if cut is not None and at >= cut:
                    self.connection.shutdown(socket.SHUT_RDWR)
                    self.close_connection = True
                    return
                self.wfile.write(body[at : at + 16384])
        except OSError:
            self.close_connection = True

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

"""A proxy between a client and sparkd that keeps every request and the status of its response."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_OF_ONE_HOP = frozenset({"connection", "transfer-encoding", "content-length", "keep-alive"})


@dataclass
class Exchange:
    """One request and its response."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    status: int = 0
    answered: dict[str, str] = field(default_factory=dict)
    answer: bytes = b""

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def rewrites(self) -> list[str]:
        """The rules that changed the request."""
        return self.answered.get("x-sparkd-rewrites", "").split(", ")

    def __str__(self) -> str:
        return f"{self.method} {self.path}: {self.status} {self.answer[:2000].decode(errors='replace')}"


class Recorder:
    """Forwards to the sparkd on `port`; `exchanges` has all requests in the order of their arrival."""

    def __init__(self, port: int) -> None:
        self.exchanges: list[Exchange] = []
        exchanges = self.exchanges

        class Handler(_Handler):
            target = port

            def record(self, exchange: Exchange) -> None:
                exchanges.append(exchange)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    @contextmanager
    def running(self) -> Iterator[Recorder]:
        """Serve until the end of the block."""
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            thread.join()
            self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    target: int

    def record(self, exchange: Exchange) -> None:
        raise NotImplementedError

    def log_message(self, *_: Any) -> None:
        """Log nothing."""

    def handle(self) -> None:
        try:
            super().handle()
        except (ConnectionError, TimeoutError):
            self.close_connection = True

    def _forward(self) -> None:
        exchange = Exchange(
            self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, self._read_body()
        )
        self.record(exchange)
        sparkd = http.client.HTTPConnection("127.0.0.1", self.target)
        try:
            headers = {k: v for k, v in exchange.headers.items() if k not in _OF_ONE_HOP}
            sparkd.request(self.command, self.path, exchange.body, headers)
            self._send_back(sparkd.getresponse(), exchange)
        finally:
            sparkd.close()

    def _read_body(self) -> bytes:
        if self.headers.get("transfer-encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("content-length", 0)))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _send_back(self, response: http.client.HTTPResponse, exchange: Exchange) -> None:
        exchange.answered = {k.lower(): v for k, v in response.getheaders()}
        self.send_response_only(response.status, response.reason)
        for name, value in exchange.answered.items():
            if name not in _OF_ONE_HOP:
                self.send_header(name, value)
        self.send_header("connection", "close")
        self.end_headers()
        exchange.status = response.status
        self.close_connection = True
        while piece := response.read1(65536):
            exchange.answer += piece
            self.wfile.write(piece)
            self.wfile.flush()

    do_GET = do_POST = do_HEAD = do_OPTIONS = do_DELETE = _forward  # noqa: N815  # http.server calls these

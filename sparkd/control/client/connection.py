"""A connection to the control API: requests, streams, and what their failures mean."""

from __future__ import annotations

import ssl
from collections.abc import Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import httpx
import msgspec

from sparkd.control.client.sockets import build_connect_error
from sparkd.errors import DaemonError, DaemonUnreachable
from sparkd.service.unix_sockets import socket_address

RESPONSE_TIMEOUT = 10.0
"""Seconds; for responses that do not wait for an engine."""

T = TypeVar("T")


class ControlConnection:
    """The base of the classes that have the API's methods, one class for each topic.

    A method of a topic is a call of `_request` with the type of the response, or reads the lines of `_stream_lines`.
    """

    def __init__(self, socket: Path, *, timeout: float = RESPONSE_TIMEOUT) -> None:
        self.socket = socket
        self._timeout = timeout
        self._resources = ExitStack()
        try:
            address = self._resources.enter_context(socket_address(socket))
        except OSError as error:
            raise build_connect_error(socket, error) from error
        # An empty TLS context: TLS is not used, and loading the machine's certificates takes 20 ms.
        transport = httpx.HTTPTransport(uds=address, verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
        # trust_env: requests to this machine must not go through a proxy from the environment.
        self._http = self._resources.enter_context(
            httpx.Client(transport=transport, base_url="http://sparkd", timeout=timeout, trust_env=False)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, type_: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._resources.close()

    def _request(
        self,
        method: str,
        path: str,
        response_type: type[T],
        *,
        query: Mapping[str, str] | None = None,
        body: msgspec.Struct | None = None,
        wait_forever: bool = False,
    ) -> T:
        """Send a request, with `body` as JSON, and return the response's JSON. `wait_forever`: it has no time limit."""
        content = msgspec.json.encode(body) if body else None
        with self._translate_errors():
            response = self._http.request(
                method,
                path,
                params=query,
                content=content,
                timeout=self._build_timeout(wait_forever=wait_forever),
            )
        if response.status_code != 200:
            raise self._parse_error(response)
        return self._decode(response.content, response_type)

    def _stream_lines(
        self,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        silence: float | None,
    ) -> Generator[str, None, None]:
        """The lines of a response as they arrive. `silence` is how many seconds may be between two pieces."""
        timeout = httpx.Timeout(self._timeout, read=silence)
        with (
            self._translate_errors(silence or self._timeout),
            self._http.stream("GET", path, params=query, timeout=timeout) as response,
        ):
            if response.status_code != 200:
                response.read()
                raise self._parse_error(response)
            yield from _split_lines(response)

    def _decode(self, content: bytes | str, response_type: type[T]) -> T:
        """JSON as a value. Raises DaemonUnreachable if it is something else."""
        try:
            return msgspec.json.decode(content, type=response_type)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise self._foreign_server_error() from error

    def _build_timeout(self, *, wait_forever: bool) -> httpx.Timeout:
        return httpx.Timeout(self._timeout, read=None if wait_forever else self._timeout)

    def _parse_error(self, response: httpx.Response) -> Exception:
        try:
            body = msgspec.json.decode(response.content, type=_ErrorBody).error
        except (msgspec.DecodeError, UnicodeDecodeError):
            return self._foreign_server_error()
        retry_after = response.headers.get("retry-after", "")
        return DaemonError(
            body.message,
            status=response.status_code,
            type_=body.type,
            code=body.code,
            param=body.param,
            retry_after=float(retry_after) if retry_after.isascii() and retry_after.isdigit() else None,
        )

    def _foreign_server_error(self) -> DaemonUnreachable:
        return DaemonUnreachable(
            f"the program at {self.socket} is not sparkd, or an incompatible version of it"
        )

    @contextmanager
    def _translate_errors(self, silence: float | None = None) -> Iterator[None]:
        try:
            yield
        except httpx.ConnectError as error:
            raise build_connect_error(self.socket, error) from error
        except httpx.TimeoutException as error:
            message = f"sparkd at {self.socket} has not responded for {silence or self._timeout:g} s"
            raise DaemonUnreachable(message) from error
        except httpx.TransportError as error:
            raise self._connection_lost_error(error) from error

    def _connection_lost_error(self, error: httpx.TransportError) -> DaemonUnreachable:
        # httpx has one type for "the connection ended" and "not HTTP"; only the messages differ.
        ended = any(text in str(error) for text in ("closed", "disconnected", "reset", "Broken pipe"))
        if ended or not isinstance(error, httpx.RemoteProtocolError):
            return DaemonUnreachable(f"the connection to {self.socket} broke off; sparkd may have stopped")
        return self._foreign_server_error()


class _Error(msgspec.Struct):
    message: str
    code: str
    type: str = "server_error"
    param: str | None = None


class _ErrorBody(msgspec.Struct):
    error: _Error


def _split_lines(response: httpx.Response) -> Iterator[str]:
    """Lines as the daemon separates them: `iter_lines` would also split at form feeds and similar characters."""
    rest = ""
    for text in response.iter_text():
        *lines, rest = (rest + text).split("\n")
        yield from lines
    if rest:
        yield rest

"""The control API's client, for sparkctl and for your own scripts."""

from __future__ import annotations

import errno
import os
import ssl
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from sparkd.catalog.reading.locations import catalogue_path, run_folder
from sparkd.errors import CatalogueError, ControlForbidden, DaemonError, DaemonUnreachable
from sparkd.hub.files import ModelFiles, RemovalResult
from sparkd.scheduling.hold import HoldRequest, HoldStatus
from sparkd.scheduling.plan import Plan
from sparkd.scheduling.status import ModelStatus, Reload, Status
from sparkd.service.unix_sockets import control_socket, socket_address

SOCKET_VARIABLE = "SPARKD_SOCKET"
RESPONSE_TIMEOUT = 10.0
"""Seconds; for responses that do not wait for an engine."""

SOCKET_HINT = f"name its socket with --socket or {SOCKET_VARIABLE}"

T = TypeVar("T")


def find_socket(given: str | None = None, catalogue: str | None = None) -> Path:
    """The control socket: `given`, or `SPARKD_SOCKET`, or the socket of the catalogue's daemon.

    `catalogue` is a path from the command line. Raises DaemonUnreachable if it is needed and cannot be read.
    """
    path = given or os.environ.get(SOCKET_VARIABLE)
    if path:
        return Path(path).expanduser().absolute()
    try:
        return control_socket(run_folder(catalogue_path(catalogue)))
    except CatalogueError as error:
        message = f"cannot find the control socket in the catalogue: {error.message} (or {SOCKET_HINT})"
        raise DaemonUnreachable(message) from error


class ControlClient:
    """A connection to the daemon at `socket`. A context manager, for one thread.

    Every method, and the constructor, raises DaemonUnreachable if no daemon runs, it does not respond within
    `timeout` seconds, or another program responds; ControlForbidden if the socket belongs to another user; and
    DaemonError with the daemon's `code`, message and `retry_after` for an error response. `name` is an id or an
    alias.
    """

    def __init__(self, socket: Path, *, timeout: float = RESPONSE_TIMEOUT) -> None:
        self.socket = socket
        self._timeout = timeout
        self._resources = ExitStack()
        try:
            address = self._resources.enter_context(socket_address(socket))
        except OSError as error:
            raise _build_connect_error(socket, error) from error
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

    def status(self) -> Status:
        """The current status."""
        return self._request("GET", "/status", Status)

    def reload(self) -> Reload:
        """Reload the catalogue and return what changed. If it has errors, raises DaemonError and changes nothing."""
        return self._request("POST", "/reload", Reload, wait_forever=True)

    def reexec(self) -> Status:
        """Replace the daemon with the installed program, soon; returns the status before.

        Afterwards, `replacements` is one higher. DaemonError with the code replacement_refused: it would not start.
        """
        return self._request("POST", "/reexec", Status, wait_forever=True)

    def model(self, name: str) -> ModelStatus:
        """The current status of one model."""
        return self._request("GET", _model_path(name), ModelStatus)

    def plan(self, name: str) -> Plan:
        """What a request for the model would do now."""
        return self._request("GET", f"{_model_path(name)}/plan", Plan)

    def files(self) -> list[ModelFiles]:
        """What is on disk for every model."""
        return self._request("GET", "/files", list[ModelFiles])

    def pull(self, name: str) -> ModelStatus:
        """Download the model's files; returns once they are complete, with no time limit."""
        return self._request("POST", f"{_model_path(name)}/pull", ModelStatus, wait_forever=True)

    def remove(self, name: str) -> RemovalResult:
        """Delete the model's files."""
        return self._request("DELETE", f"{_model_path(name)}/files", RemovalResult, wait_forever=True)

    def load(self, name: str) -> ModelStatus:
        """Load the model; returns once it is ready, with no time limit."""
        return self._request("POST", f"{_model_path(name)}/load", ModelStatus, wait_forever=True)

    def stop(self, name: str) -> ModelStatus:
        """Stop the model; returns once its responses are finished and it is stopped."""
        return self._request("POST", f"{_model_path(name)}/stop", ModelStatus, wait_forever=True)

    def retry(self, name: str) -> ModelStatus:
        """End the model's backoff or quarantine."""
        return self._request("POST", f"{_model_path(name)}/retry", ModelStatus)

    def hold(self, name: str, request: HoldRequest) -> HoldStatus:
        """Keep the model loaded for a time; begins to load it."""
        return self._request("POST", f"{_model_path(name)}/hold", HoldStatus, body=request)

    def holds(self) -> list[HoldStatus]:
        """All holds."""
        return self._request("GET", "/holds", list[HoldStatus])

    def release(self, hold_id: str) -> HoldStatus:
        """End a hold; returns it as it was."""
        return self._request("DELETE", f"/holds/{quote(hold_id, safe='')}", HoldStatus)

    def logs(self, name: str, *, lines: int = 200, follow: bool = False) -> Generator[str, None, None]:
        """The last `lines` of the model's log; with `follow`, also each new line until its process ends."""
        query = {"lines": str(lines), "follow": "1" if follow else "0"}
        with (
            self._translate_errors(),
            self._http.stream(
                "GET",
                f"{_model_path(name)}/logs",
                params=query,
                timeout=self._build_timeout(wait_forever=follow),
            ) as response,
        ):
            if response.status_code != 200:
                response.read()
                raise self._parse_error(response)
            yield from _split_lines(response)

    def _request(
        self,
        method: str,
        path: str,
        response_type: type[T],
        *,
        wait_forever: bool = False,
        body: HoldRequest | None = None,
    ) -> T:
        content = msgspec.json.encode(body) if body else None
        with self._translate_errors():
            response = self._http.request(
                method, path, content=content, timeout=self._build_timeout(wait_forever=wait_forever)
            )
        if response.status_code != 200:
            raise self._parse_error(response)
        try:
            return msgspec.json.decode(response.content, type=response_type)
        except msgspec.DecodeError as error:
            raise self._foreign_server_error() from error

    def _build_timeout(self, *, wait_forever: bool) -> httpx.Timeout:
        return httpx.Timeout(self._timeout, read=None if wait_forever else self._timeout)

    def _parse_error(self, response: httpx.Response) -> Exception:
        try:
            body = msgspec.json.decode(response.content, type=_ErrorBody).error
        except msgspec.DecodeError:
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
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except httpx.ConnectError as error:
            raise _build_connect_error(self.socket, error) from error
        except httpx.TimeoutException as error:
            message = f"sparkd at {self.socket} has not responded for {self._timeout:g} s"
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


def _model_path(name: str) -> str:
    return f"/models/{quote(name, safe='')}"


def _split_lines(response: httpx.Response) -> Iterator[str]:
    """Lines as the daemon separates them: `iter_lines` would also split at form feeds and similar characters."""
    rest = ""
    for text in response.iter_text():
        *lines, rest = (rest + text).split("\n")
        yield from lines
    if rest:
        yield rest


def _build_connect_error(socket: Path, error: Exception) -> DaemonUnreachable:
    start = f"start it with `systemctl start sparkd`, or {SOCKET_HINT}"
    number = _find_errno(error)
    if number == errno.ENOENT:
        return DaemonUnreachable(f"sparkd is not running: there is no control socket {socket}; {start}")
    if number == errno.ECONNREFUSED:
        return DaemonUnreachable(f"sparkd is not running: nothing listens at {socket}; {start}")
    if number in (errno.EACCES, errno.EPERM):
        return ControlForbidden(
            f"the control socket {socket} belongs to {_find_owner(socket)}; run the command with sudo, or as that user"
        )
    return DaemonUnreachable(f"cannot connect to sparkd at {socket}: {error}")


def _find_errno(error: BaseException | None) -> int | None:
    while error is not None:
        if isinstance(error, OSError):
            return error.errno
        error = error.__cause__ or error.__context__
    return None


def _find_owner(socket: Path) -> str:
    for path in (socket, *socket.parents):
        try:
            return path.owner()
        except (OSError, KeyError):  # inside a folder without access, or a user without a name
            continue
    return "its owner"

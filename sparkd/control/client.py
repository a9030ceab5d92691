"""The control API's client: what sparkctl and a person's own scripts talk to the daemon with."""

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
from sparkd.hub.findings import ModelFiles, Removed
from sparkd.scheduling.plan import Plan
from sparkd.scheduling.status import ModelStatus, Reload, Status
from sparkd.service.unix_sockets import control_socket, socket_address

SOCKET_VARIABLE = "SPARKD_SOCKET"
ANSWER_TIMEOUT = 10.0
"""Seconds; for answers that do not wait for an engine."""

ELSEWHERE = f"name its socket with --socket or {SOCKET_VARIABLE}"

T = TypeVar("T")


def find_socket(given: str | None = None, catalogue: str | None = None) -> Path:
    """The control socket: the one given, else `SPARKD_SOCKET`, else where the catalogue's daemon listens.

    `catalogue` is a catalogue file as a user names one. Raises DaemonUnreachable when it has to be asked and
    cannot be read.
    """
    named = given or os.environ.get(SOCKET_VARIABLE)
    if named:
        return Path(named).expanduser().absolute()
    try:
        return control_socket(run_folder(catalogue_path(catalogue)))
    except CatalogueError as error:
        message = f"cannot tell where sparkd listens: {error.message} (or {ELSEWHERE})"
        raise DaemonUnreachable(message) from error


class ControlClient:
    """Talks to the daemon that listens at `socket`. A context manager, for one thread.

    Every method, and making one, raises DaemonUnreachable when sparkd is not there, does not answer within
    `timeout` seconds, or is not sparkd; ControlForbidden when the socket is somebody else's; and DaemonError
    with the daemon's own `code`, message and `retry_after` when it answers with an error. `name` is an id or
    an alias.
    """

    def __init__(self, socket: Path, *, timeout: float = ANSWER_TIMEOUT) -> None:
        self.socket = socket
        self._timeout = timeout
        self._open = ExitStack()
        try:
            address = self._open.enter_context(socket_address(socket))
        except OSError as error:
            raise _why_unreachable(socket, error) from error
        # An empty TLS context: none is used, and loading the machine's certificates costs a start 20 ms.
        transport = httpx.HTTPTransport(uds=address, verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
        # trust_env: HTTP_PROXY in the environment would send an order for this machine elsewhere.
        self._http = self._open.enter_context(
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
        self._open.close()

    def status(self) -> Status:
        """Everything as it is now."""
        return self._ask("GET", "/status", Status)

    def reload(self) -> Reload:
        """Have the catalogue read again; returns what has changed. One that is wrong changes nothing: DaemonError."""
        return self._ask("POST", "/reload", Reload, endless=True)

    def reexec(self) -> Status:
        """Have the program that is installed now take the daemon's place, soon; returns how things were before.

        Its `replaced` then counts one more. DaemonError with the code replacement_refused: it would not start.
        """
        return self._ask("POST", "/reexec", Status, endless=True)

    def model(self, name: str) -> ModelStatus:
        """One model as it is now."""
        return self._ask("GET", _path(name), ModelStatus)

    def plan(self, name: str) -> Plan:
        """What would happen if somebody asked for the model now."""
        return self._ask("GET", f"{_path(name)}/plan", Plan)

    def files(self) -> list[ModelFiles]:
        """What is on disk of every model."""
        return self._ask("GET", "/files", list[ModelFiles])

    def pull(self, name: str) -> ModelStatus:
        """Have what the model needs downloaded; returns once it is there, however long that takes."""
        return self._ask("POST", f"{_path(name)}/pull", ModelStatus, endless=True)

    def remove(self, name: str) -> Removed:
        """Take the model off the disk."""
        return self._ask("DELETE", f"{_path(name)}/files", Removed, endless=True)

    def load(self, name: str) -> ModelStatus:
        """Make the model ready; returns once it is, however long that takes."""
        return self._ask("POST", f"{_path(name)}/load", ModelStatus, endless=True)

    def stop(self, name: str) -> ModelStatus:
        """Stop the model; returns once it has finished what it had begun and is stopped."""
        return self._ask("POST", f"{_path(name)}/stop", ModelStatus, endless=True)

    def retry(self, name: str) -> ModelStatus:
        """Lift the model's backoff or quarantine."""
        return self._ask("POST", f"{_path(name)}/retry", ModelStatus)

    def logs(self, name: str, *, lines: int = 200, follow: bool = False) -> Generator[str, None, None]:
        """The last `lines` of the model's log; with `follow` each new one too, until its process ends."""
        query = {"lines": str(lines), "follow": "1" if follow else "0"}
        with (
            self._unreachable_told(),
            self._http.stream(
                "GET", f"{_path(name)}/logs", params=query, timeout=self._patience(endless=follow)
            ) as answer,
        ):
            if answer.status_code != 200:
                answer.read()
                raise self._error(answer)
            yield from _lines(answer)

    def _ask(self, method: str, path: str, shape: type[T], *, endless: bool = False) -> T:
        with self._unreachable_told():
            answer = self._http.request(method, path, timeout=self._patience(endless=endless))
        if answer.status_code != 200:
            raise self._error(answer)
        try:
            return msgspec.json.decode(answer.content, type=shape)
        except msgspec.DecodeError as error:
            raise self._stranger() from error

    def _patience(self, *, endless: bool) -> httpx.Timeout:
        return httpx.Timeout(self._timeout, read=None if endless else self._timeout)

    def _error(self, answer: httpx.Response) -> Exception:
        try:
            told = msgspec.json.decode(answer.content, type=_ErrorBody).error
        except msgspec.DecodeError:
            return self._stranger()
        after = answer.headers.get("retry-after", "")
        return DaemonError(
            told.message,
            status=answer.status_code,
            type_=told.type,
            code=told.code,
            param=told.param,
            retry_after=float(after) if after.isascii() and after.isdigit() else None,
        )

    def _stranger(self) -> DaemonUnreachable:
        return DaemonUnreachable(f"what answers at {self.socket} is not sparkd, or another version of it")

    @contextmanager
    def _unreachable_told(self) -> Iterator[None]:
        try:
            yield
        except httpx.ConnectError as error:
            raise _why_unreachable(self.socket, error) from error
        except httpx.TimeoutException as error:
            message = f"sparkd at {self.socket} has not answered for {self._timeout:g} s"
            raise DaemonUnreachable(message) from error
        except httpx.TransportError as error:
            raise self._broken_off(error) from error

    def _broken_off(self, error: httpx.TransportError) -> DaemonUnreachable:
        # httpx has one type for "the connection ended" and "this is no HTTP"; only the words differ.
        ended = any(word in str(error) for word in ("closed", "disconnected", "reset", "Broken pipe"))
        if ended or not isinstance(error, httpx.RemoteProtocolError):
            return DaemonUnreachable(f"what listens at {self.socket} broke off; has sparkd stopped?")
        return self._stranger()


class _Told(msgspec.Struct):
    message: str
    code: str
    type: str = "server_error"
    param: str | None = None


class _ErrorBody(msgspec.Struct):
    error: _Told


def _path(name: str) -> str:
    return f"/models/{quote(name, safe='')}"


def _lines(answer: httpx.Response) -> Iterator[str]:
    """Lines as the daemon ends them: `iter_lines` would also split at the form feeds and the like of a log."""
    rest = ""
    for text in answer.iter_text():
        *whole, rest = (rest + text).split("\n")
        yield from whole
    if rest:
        yield rest


def _why_unreachable(socket: Path, error: Exception) -> DaemonUnreachable:
    start = f"start it with `systemctl start sparkd`, or {ELSEWHERE}"
    number = _errno(error)
    if number == errno.ENOENT:
        return DaemonUnreachable(f"sparkd is not running: there is no control socket {socket}; {start}")
    if number == errno.ECONNREFUSED:
        return DaemonUnreachable(f"sparkd is not running: nobody listens at {socket}; {start}")
    if number in (errno.EACCES, errno.EPERM):
        return ControlForbidden(
            f"the control socket {socket} may only be opened by {_owner(socket)}; run this as that user"
        )
    return DaemonUnreachable(f"sparkd cannot be reached at {socket}: {error}")


def _errno(error: BaseException | None) -> int | None:
    while error is not None:
        if isinstance(error, OSError):
            return error.errno
        error = error.__cause__ or error.__context__
    return None


def _owner(socket: Path) -> str:
    for path in (socket, *socket.parents):
        try:
            return path.owner()
        except (OSError, KeyError):  # inside a folder that may not be entered, or a user without a name
            continue
    return "its owner"

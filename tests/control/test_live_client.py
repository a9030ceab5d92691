"""The event stream, put together by the client: whole, cut anywhere, broken."""

from __future__ import annotations

import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkd.control.client import ControlClient
from sparkd.control.live.changes import HEARTBEAT, Event, find_changes, make_snapshot
from sparkd.control.live.state import LiveMachine, LiveMemory, LiveModel, LiveQueue, LiveState
from sparkd.control.viewer import OWNER
from sparkd.errors import DaemonUnreachable

MEMORY = LiveMemory(
    kind="unified", total=100, reserve=10, budget=90, reserved=0, models=0, launchers=0, leaked=0, floor=5
)
MACHINE = LiveMachine(
    name="spark", version="1", pid=1, uptime_since=0.0, state="serving", listen=(), memory=MEMORY
)
QUEUE = LiveQueue(waiting=0, max_length=9, on_busy="wait")


def make_state(*models: str, waiting: int = 0) -> LiveState:
    return LiveState(
        machine=MACHINE,
        models={name: LiveModel(id=name, state="ready", since=1.0) for name in models},
        queue=msgspec.structs.replace(QUEUE, waiting=waiting),
    )


STATES = [make_state("a"), make_state("a", "b"), make_state("b", waiting=3), make_state(), make_state("c")]


def encode(states: list[LiveState]) -> bytes:
    events: list[Event | None] = [make_snapshot(states[0]).event]
    events += [find_changes(before, after) for before, after in pairwise(states)]
    pieces = [event.encode(OWNER.rights) for event in events if event]
    return b"retry: 2000\n\n" + HEARTBEAT.join(pieces)


@contextmanager
def serve(path: Path, pieces: list[bytes]) -> Iterator[Path]:
    """A server that sends these bytes as the answer to any request, and then closes the connection."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def run() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                for piece in pieces:
                    connection.sendall(piece)

        thread = threading.Thread(target=run)
        thread.start()
        yield path
        thread.join()


HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"


def follow(path: Path, pieces: list[bytes]) -> list[LiveState]:
    with serve(path, pieces), ControlClient(path, timeout=5.0) as client:
        return [state for _, state in client.live()]


@given(st.sets(st.integers(0, 3000), max_size=8))
def test_the_states_are_those_that_were_sent_wherever_the_stream_is_cut(cuts: set[int]) -> None:
    body = encode(STATES)
    places = sorted(cut for cut in cuts if cut < len(body))
    pieces = [body[begin:end] for begin, end in zip([0, *places], [*places, len(body)], strict=True)]
    with tempfile.TemporaryDirectory() as folder:
        assert follow(Path(folder) / "s", [HEAD, *pieces]) == STATES


def test_a_change_before_the_state_is_ignored(tmp_path: Path) -> None:
    change = find_changes(STATES[0], STATES[1])
    assert change is not None
    assert follow(tmp_path / "s", [HEAD, change.encode(OWNER.rights)]) == []


@pytest.mark.parametrize(
    "body",
    [
        b"event: snapshot\ndata: nonsense\n\n",
        b'event: snapshot\ndata: {"now": 1}\n\n',
        b'event: snapshot\ndata: {"now":1,"machine":[],"models":{},"queue":{},"in_flight":{}}\n\n',
        b"event: snapshot\ndata: \xff\xfe\n\n",
        b"event: snapshot\ndata: " + b"[" * 5000 + b"\n\n",
    ],
)
def test_garbage_is_an_error_that_names_the_socket(tmp_path: Path, body: bytes) -> None:
    with pytest.raises(DaemonUnreachable, match="is not sparkd, or an incompatible version"):
        follow(tmp_path / "s", [HEAD, body])


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0-OpenSSH\r\n", b"\x00\x01\x02" * 500])
def test_another_program_at_the_socket_is_an_error(tmp_path: Path, answer: bytes) -> None:
    with pytest.raises(DaemonUnreachable):
        follow(tmp_path / "s", [answer])


def test_events_of_a_later_version_with_more_fields_are_read(tmp_path: Path) -> None:
    text = make_snapshot(STATES[0]).event.encode(OWNER.rights).replace(b'{"now"', b'{"later":[1],"now"', 1)
    more = b'event: weather\ndata: {"sun": true}\n\n'
    assert follow(tmp_path / "s", [HEAD, text, more]) == STATES[:1]

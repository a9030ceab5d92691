"""Requests in flight, over the control socket."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from sparkd.control.active_requests import active_request_routes
from sparkd.control.client import ControlClient
from sparkd.errors import DaemonError, RequestNotFound
from sparkd.usage.active import ActiveRequest
from tests.control.fake_supervisor import FakeDaemon, serve_fake_daemon


def make(id_: str) -> ActiveRequest:
    return ActiveRequest(
        id=id_,
        model="qwen",
        asked="coder",
        client="laptop",
        program="opencode",
        endpoint="/v1/chat/completions",
        streamed=True,
        began=1_700_000_000.5,
        phase="decoding",
        phase_since=1_700_000_001.25,
        tokens_out=17,
        speed=8.5,
    )


class Requests:
    """Requests that only have ids."""

    def __init__(self) -> None:
        self.ids = ["r1", "chat/2 ä?", "r1"]

    def rows(self) -> list[ActiveRequest]:
        return list(map(make, self.ids))

    def cancel(self, request_id: str) -> list[ActiveRequest]:
        found = [row for row in self.rows() if row.id == request_id]
        if not found:
            raise RequestNotFound(f'No request in flight has the id "{request_id}".')
        self.ids = [each for each in self.ids if each != request_id]
        return found


@pytest.fixture
def served(tmp_path: Path) -> Iterator[FakeDaemon]:
    with serve_fake_daemon(tmp_path, lambda _: active_request_routes(Requests())) as served:
        yield served


@pytest.fixture
def client(served: FakeDaemon) -> Iterator[ControlClient]:
    with ControlClient(served.socket) as client:
        yield client


def test_they_are_listed_and_cancelled(client: ControlClient) -> None:
    assert client.active_requests() == [make("r1"), make("chat/2 ä?"), make("r1")]
    assert client.cancel_request("chat/2 ä?") == [make("chat/2 ä?")]
    assert client.cancel_request("r1") == [make("r1"), make("r1")]
    assert client.active_requests() == []


def test_an_unknown_id_is_an_error(client: ControlClient) -> None:
    with pytest.raises(DaemonError) as raised:
        client.cancel_request("r9")
    assert (raised.value.status, raised.value.code) == (404, "request_not_found")


def test_nothing_is_cancelled_by_reading(served: FakeDaemon) -> None:
    transport = httpx.HTTPTransport(uds=str(served.socket))
    with httpx.Client(transport=transport, base_url="http://sparkd") as http:
        assert http.get("/requests/active/r1").status_code == 405
        assert http.post("/requests/active").status_code == 405
        assert len(http.get("/requests/active").json()) == 3

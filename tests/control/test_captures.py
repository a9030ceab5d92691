"""Captures over the control API: who may, whose, how long."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from sparkd.control.captures import capture_notices, capture_routes
from sparkd.control.client import ControlClient
from sparkd.errors import DaemonError
from sparkd.gateway.capturing.captures import Captures
from tests.control.fake_supervisor import FakeDaemon, serve_fake_daemon


@pytest.fixture
def captures() -> Captures:
    return Captures()


@pytest.fixture
def served(tmp_path: Path, captures: Captures) -> Iterator[FakeDaemon]:
    with serve_fake_daemon(
        tmp_path,
        routes=lambda supervisor: capture_routes(
            captures, lambda: supervisor.catalogue, lambda: frozenset({"ada"})
        ),
    ) as served:
        yield served
        served.run_on_loop(captures.forget)


@pytest.fixture
def http(served: FakeDaemon) -> Iterator[httpx.Client]:
    transport = httpx.HTTPTransport(uds=str(served.socket))
    with httpx.Client(transport=transport, base_url="http://sparkd", timeout=30) as client:
        yield client


def test_a_capture_begins_is_listed_and_ends(http: httpx.Client, captures: Captures) -> None:
    assert http.get("/captures").json() == {"rule": None, "requests": [], "bytes": 0}
    assert capture_notices(captures) == ()
    begun = http.post("/captures", json={"model": "coder", "minutes": 5}).json()
    assert begun["rule"]["model"] == "qwen"
    assert begun["rule"]["until"] - begun["rule"]["began"] == 300
    (notice,) = capture_notices(captures)
    assert (notice.level, "qwen" in notice.text) == ("bad", True)
    assert http.delete("/captures").json()["rule"] is None


@pytest.mark.parametrize(
    ("order", "problem"),
    [
        ({}, "Name one client or one model"),
        ({"client": "ada", "model": "qwen"}, "Name one client or one model"),
        ({"client": "adda"}, 'did you mean "ada"?'),
        ({"model": "qwem"}, "qwen"),
        ({"client": "ada", "minutes": 61}, "minutes"),
        ({"client": "ada", "minutes": 0}, "minutes"),
        ({"client": "ada", "for": 3}, "for"),
    ],
)
def test_an_order_that_is_not_valid_begins_nothing(
    http: httpx.Client, captures: Captures, order: dict[str, object], problem: str
) -> None:
    answer = http.post("/captures", json=order)
    assert answer.status_code in (400, 404)
    assert problem in answer.json()["error"]["message"]
    assert captures.rule is None


def test_a_request_that_is_not_kept_is_404(served: FakeDaemon) -> None:
    with ControlClient(served.socket) as client, pytest.raises(DaemonError) as raised:
        client.captured(7)
    assert raised.value.code == "capture_not_found"

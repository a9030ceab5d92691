"""GET /measurements, as a plain HTTP client sees it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from sparkd.control.errors import EXCEPTION_HANDLERS
from sparkd.control.measurements import measurement_routes
from sparkd.usage.records import Measurement
from tests.usage.measured import Laboratory


@pytest.fixture
def lab(tmp_path: Path) -> Laboratory:
    return Laboratory(tmp_path)


@pytest.fixture
def http(lab: Laboratory) -> Iterator[TestClient]:
    routes = measurement_routes(lab.sampler, lab.store)
    with TestClient(Starlette(routes=routes, exception_handlers=EXCEPTION_HANDLERS)) as client:
        yield client


def test_the_last_minutes_are_in_steps_of_five_seconds(lab: Laboratory, http: TestClient) -> None:
    lab.pass_time(60)
    found = http.get("/measurements?span=120").json()
    assert (found["step"], found["now"], len(found["at"])) == (5, lab.clock.epoch, 24)
    assert found["available"] == [None] * 12 + [8_000_000_000] * 12
    assert found["power"] == [None] * 24
    assert (found["low"], found["high"]) == ({}, {})
    assert len(http.get("/measurements").json()["at"]) == 180


def test_longer_spans_are_read_from_the_database(lab: Laboratory, http: TestClient) -> None:
    lab.pass_time(3600)
    found = http.get("/measurements?span=3600").json()
    assert found["step"] == 60
    assert len(found["at"]) == 61
    assert found["available"][1:] == [8_000_000_000] * 60
    assert http.get("/measurements?span=900&step=60").json()["step"] == 60
    assert http.get("/measurements?span=2678400").json()["step"] == 5400


def test_the_minute_after_the_start_is_seen_at_once(lab: Laboratory, http: TestClient) -> None:
    lab.pass_time(10)
    assert http.get("/measurements?span=3600").json()["available"][-1] == 8_000_000_000


def test_days_have_the_energy_that_was_measured(http: TestClient, lab: Laboratory) -> None:
    assert http.get("/measurements/days").json() == []
    lab.machine.shown = Measurement(at=0.0, power=50.0)
    lab.pass_time(600)
    (day,) = http.get("/measurements/days?days=7").json()
    assert day["energy"] == 50 * day["energy_seconds"]
    assert 480 <= day["energy_seconds"] <= 600
    assert day["peak_out"] == 0.0


@pytest.mark.parametrize(
    ("query", "param", "message"),
    [
        ("span=nan", "span", "It must be a number from 1 to 2678400"),
        ("span=1e9", "span", "from 1 to 2678400"),
        ("span=x", "span", "'x'"),
        ("span=3600&step=5", "step", "intervals of 5 seconds are kept for 1200 seconds only"),
        ("span=900&step=61", "step", "5 or a multiple of 60"),
        ("span=900&step=7", "step", "5 or a multiple of 60"),
        ("span=86400&step=60", "step", "makes 1440 points. Set it to 300 or more"),
        ("span=60&step=0", "step", "from 5 to 86400"),
    ],
)
def test_an_invalid_query_names_the_parameter_and_the_limit(
    http: TestClient, query: str, param: str, message: str
) -> None:
    answer = http.get(f"/measurements?{query}")
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param
    assert message in answer.json()["error"]["message"]

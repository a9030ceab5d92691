"""`sparkctl cancel`: requests in flight end at once."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sparkd.control.client import ControlClient
from tests.cli.running import sparkctl
from tests.e2e.sparkd_process import SparkdProcess, engine, wait_until


@pytest.fixture
def sparkd() -> Iterator[SparkdProcess]:
    with tempfile.TemporaryDirectory(prefix="sparkd-cancel-") as folder:  # short: sockets live below it
        models = {"busy": engine("--pace", "0.05", "--tokens", "100000")}
        sparkd = SparkdProcess(Path(folder), {"models": models})
        sparkd.start()
        yield sparkd
        if sparkd.process.poll() is None:
            sparkd.stop()


def test_a_request_ends_and_the_others_stay(sparkd: SparkdProcess) -> None:
    socket = sparkd.folder / "run" / "control.sock"
    with sparkd.streaming("busy") as one, sparkd.streaming("busy") as other, ControlClient(socket) as client:
        next(one)
        next(other)
        first, second = (row.id for row in client.active_requests())
        result = sparkctl("cancel", "nonsense", first, "--socket", socket)
        assert result.out.startswith(f"request {first} of anonymous to busy is cancelled (decoding")
        assert result.code == 4
        assert "nonsense" in result.err
        assert any("request_cancelled" in line for line in one)
        assert [row.id for row in client.active_requests()] == [second]
        row = json.loads(sparkctl("cancel", second, "--json", "--socket", socket).out)
        assert (row["id"], row["model"]) == (second, "busy")
    wait_until("nothing in flight", lambda: not sparkd.model("busy").in_flight)


def test_a_request_needs_an_id() -> None:
    result = sparkctl("cancel")
    assert result.code == 2
    assert "the following arguments are required: ID" in result.err

"""A real sparkd with engines that are quick, slow to start, busy, or broken."""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.sparkd_process import SparkdProcess, engine

BROKEN = {
    "engine": "command",
    "command": ["/bin/sh", "-c", "echo 'no such flag'; exit 3", "{socket}"],
    "memory": "1 GiB",
}


@pytest.fixture
def sparkd() -> Iterator[SparkdProcess]:
    """A running sparkd with 10 GiB for its models. `slow` is not ready before the file `gate` exists."""
    with tempfile.TemporaryDirectory(prefix="sparkd-top-") as folder:  # short: sockets live below it
        gate = Path(folder) / "gate"
        models = {
            "busy": engine("--pace", "0.05", "--tokens", "100000", memory="5 GiB"),
            "other": engine(memory="5 GiB"),
            "rival": engine(memory="8 GiB"),
            "slow": engine("--start-gate", str(gate), memory="2 GiB"),
            "broken": BROKEN,
        }
        sparkd = SparkdProcess(Path(folder), {"models": models, "failures": {"max_failures": 1}})
        sparkd.start()
        yield sparkd
        gate.touch()
        if sparkd.process.poll() is None:
            sparkd.stop(signal.SIGTERM)
        sparkd.assert_nothing_left()

from __future__ import annotations

import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.sparkd_process import SparkdProcess
from tests.e2e.warm_runtime import WarmRuntime

Build = Callable[..., SparkdProcess]


@pytest.fixture
def folder() -> Iterator[Path]:
    """Yield a folder with a short path, because it contains Unix sockets."""
    with tempfile.TemporaryDirectory(prefix="sparkd-e2e-") as made:
        yield Path(made)


@pytest.fixture
def runtime(folder: Path) -> WarmRuntime:
    """A runtime with a stand-in for vLLM."""
    return WarmRuntime(folder)


@pytest.fixture
def build(folder: Path) -> Iterator[Build]:
    """Start a sparkd with these models and settings. At the end, check that it stops and leaves nothing."""
    built: list[SparkdProcess] = []

    def start(models: dict[str, Any], **settings: Any) -> SparkdProcess:
        sparkd = SparkdProcess(folder, {"models": models, **settings})
        sparkd.start()
        built.append(sparkd)
        return sparkd

    yield start
    for sparkd in built:
        if sparkd.process.poll() is None:
            assert sparkd.stop() == 0, sparkd.log()
            sparkd.assert_nothing_left()
        if sparkd.process.poll() is None:
            sparkd.stop(signal.SIGKILL)

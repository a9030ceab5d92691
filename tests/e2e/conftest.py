from __future__ import annotations

import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.house import House

Build = Callable[..., House]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path: Unix sockets live below it."""
    with tempfile.TemporaryDirectory(prefix="sparkd-e2e-") as made:
        yield Path(made)


@pytest.fixture
def build(folder: Path) -> Iterator[Build]:
    """Start a sparkd with the models and settings given; at the end it must stop and leave nothing."""
    built: list[House] = []

    def start(models: dict[str, Any], **settings: Any) -> House:
        house = House(folder, {"models": models, **settings})
        house.start()
        built.append(house)
        return house

    yield start
    for house in built:
        if house.process.poll() is None:
            assert house.stop() == 0, house.log()
            house.assert_nothing_left()
        if house.process.poll() is None:
            house.stop(signal.SIGKILL)

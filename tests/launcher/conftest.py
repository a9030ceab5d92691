from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.launcher.runtime import Place, Runtime, set_subreaper


@pytest.fixture(scope="session")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Runtime:
    return Runtime(tmp_path_factory.mktemp("runtime") / "standin")


@pytest.fixture
def place(tmp_path: Path, runtime: Runtime) -> Place:
    return Place(tmp_path, runtime)


@pytest.fixture(autouse=True)
def _subreaper() -> Iterator[None]:
    """An engine whose parent has exited becomes a child of this process, as it does under sparkd."""
    set_subreaper(active=True)
    yield
    set_subreaper(active=False)

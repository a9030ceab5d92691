from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.launcher.runtime import Runtime, set_subreaper


@pytest.fixture(scope="session")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Runtime:
    """A stand-in runtime, for launchers."""
    return Runtime(tmp_path_factory.mktemp("runtime") / "standin")


@pytest.fixture(autouse=True)
def _subreaper() -> Iterator[None]:
    """Launchers make this process a subreaper."""
    yield
    set_subreaper(active=False)

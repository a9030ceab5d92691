from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.clients.serving import run_sparkd
from tests.clients.session import Session, open_session
from tests.e2e.sparkd_process import SparkdProcess


@pytest.fixture(scope="package")
def sparkd() -> Iterator[SparkdProcess]:
    """One sparkd for all tests of the package."""
    with run_sparkd() as sparkd:
        yield sparkd


@pytest.fixture
def session(sparkd: SparkdProcess) -> Iterator[Session]:
    """A home folder, a project with a note, and a proxy that keeps what the client sends."""
    with open_session(sparkd.port, sparkd.catalogue) as session:
        yield session

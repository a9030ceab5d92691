"""A served stand-in for every test that asks for one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.control.fake_supervisor import FakeDaemon, serve_fake_daemon


@pytest.fixture
def served(tmp_path: Path) -> Iterator[FakeDaemon]:
    """A stand-in's control API on a socket."""
    with serve_fake_daemon(tmp_path) as served:
        yield served

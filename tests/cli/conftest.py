"""A served stand-in for every test that asks for one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.control.standin import Served, serving


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A stand-in's control API on a socket."""
    with serving(tmp_path) as served:
        yield served

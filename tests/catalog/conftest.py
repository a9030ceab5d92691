"""What the tests of the catalogue share."""

from pathlib import Path

import pytest

from tests.catalog.folder import Folder


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """An empty catalogue and a runtime named `cpu`."""
    return Folder(tmp_path)

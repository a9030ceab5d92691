"""What the tests of edits share."""

from pathlib import Path

import pytest

from tests.catalog.folder import Folder

MODEL = '[models.a]\nengine = "command"\ncommand = ["/bin/cat", "{socket}"]\n'


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """A catalogue with one model."""
    folder = Folder(tmp_path)
    folder.write("models.toml", MODEL)
    return folder

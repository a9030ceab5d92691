"""A folder with a catalogue in it, written by a test and read as sparkd reads it."""

from pathlib import Path

from sparkd.catalog import Catalogue
from sparkd.catalog.reading import read_catalogue
from sparkd.errors import CatalogueError

VLLM = 'runtime = "cpu"\nsource = "org/model"\n'
"""The least a model on vLLM says."""


class Folder:
    """`models.toml`, `models.d/` and a runtime named `cpu`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.catalogue = path / "models.toml"
        self.write("models.toml", "")
        self.write("venvs/cpu/runtime.toml", "")

    def write(self, name: str, text: str | bytes) -> Path:
        """Write one file, given by its name inside the folder."""
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode() if isinstance(text, str) else text)
        return file

    def names(self, name: str = ".") -> list[str]:
        """What is in a folder inside it."""
        return sorted(path.name for path in (self.path / name).iterdir())

    def read(self, text: str | None = None) -> Catalogue:
        """The catalogue, with `text` as its `models.toml`."""
        if text is not None:
            self.write("models.toml", text)
        return read_catalogue(self.catalogue)

    def problems(self, text: str | bytes | None = None) -> list[str]:
        """What is wrong with it, files named by where they are inside the folder; nothing if it is good."""
        if text is not None:
            self.write("models.toml", text)
        try:
            read_catalogue(self.catalogue)
        except CatalogueError as error:
            return [problem.replace(f"{self.path}/", "") for problem in error.problems]
        return []

"""Finds the catalogue's files and parses their TOML."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct, field

DROP_IN_FOLDER = "models.d"
"""Folder beside the catalogue. Its `*.toml` files are read after the catalogue, in the order of their names."""

RUNTIME_FILE = "runtime.toml"
"""The definition of a runtime, in the folder of `paths.venvs` with the runtime's name."""


class Documents(Struct):
    """Reads TOML files and collects their problems, one line each.

    `overrides` has contents to use for files, whether they exist or not: a drop-in is tried this way before it is
    written. None is a file that does not exist. `complete` is False once a file could not be read, because its
    definitions are then unknown.
    """

    overrides: Mapping[Path, bytes | None] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    complete: bool = True

    def drop_ins(self, catalogue: Path) -> list[Path]:
        """The catalogue's drop-ins, in the order in which they are merged."""
        folder = catalogue.parent / DROP_IN_FOLDER
        names = {file.name for file in self.overrides if file.parent == folder}
        names.update(path.name for path in self._list_folder(folder))
        names -= {
            file.name for file, data in self.overrides.items() if data is None and file.parent == folder
        }
        return [
            folder / name for name in sorted(names) if name.endswith(".toml") and not name.startswith(".")
        ]

    def runtimes(self, venvs: Path) -> list[Path]:
        """The definitions of runtimes in the folder `venvs`, by name."""
        return sorted(
            folder / RUNTIME_FILE for folder in self._list_folder(venvs) if (folder / RUNTIME_FILE).exists()
        )

    def read(self, file: Path) -> dict[str, Any] | None:
        """The tables of a file. None, and a problem, if it cannot be read or is not TOML."""
        try:
            data = self.overrides.get(file)
            data = file.read_bytes() if data is None else data
            return tomllib.loads(data.decode("utf-8-sig"))  # some editors start a file with a byte order mark
        except OSError as error:
            self._add_read_error(file, f"cannot be read: {error.strerror}")
        except UnicodeDecodeError as error:
            line = error.object.count(b"\n", 0, error.start) + 1
            self._add_read_error(file, f"is not UTF-8 (at line {line})")
        except ValueError as error:  # TOMLDecodeError, or a number of 5000 digits
            self._add_read_error(file, f"is not TOML: {error}")
        except RecursionError:
            self._add_read_error(file, "is not TOML: nested too deeply")
        return None

    def _list_folder(self, folder: Path) -> list[Path]:
        try:
            return list(folder.iterdir())
        except FileNotFoundError:
            return []
        except OSError as error:
            self._add_read_error(folder, f"cannot be read: {error.strerror}")
            return []

    def _add_read_error(self, file: Path, text: str) -> None:
        self.complete = False
        self.problems.append(f"{file}: {text}")

"""The catalogue's files: which there are, and what TOML says in each."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

DROP_INS = "models.d"
"""Folder beside the catalogue. Its `*.toml` are read after it, in the order of their names."""

RUNTIME = "runtime.toml"
"""A runtime's definition, in a folder of `paths.venvs` that has the runtime's name."""


@dataclass(slots=True)
class Documents:
    """Reads TOML files and keeps what is wrong with them, one line each.

    `instead` holds what files are to be taken to say, whether they exist or not: how a drop-in is tried
    before it is written. `complete` is False once a file could not be read, so that nothing is known about
    what it defines.
    """

    instead: Mapping[Path, bytes] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    complete: bool = True

    def drop_ins(self, catalogue: Path) -> list[Path]:
        """The catalogue's drop-ins, in the order in which they are laid over it."""
        folder = catalogue.parent / DROP_INS
        names = {file.name for file in self.instead if file.parent == folder}
        names.update(path.name for path in self._inside(folder))
        return [
            folder / name for name in sorted(names) if name.endswith(".toml") and not name.startswith(".")
        ]

    def runtimes(self, venvs: Path) -> list[Path]:
        """The definitions of runtimes in the folder `venvs`, by name."""
        return sorted(folder / RUNTIME for folder in self._inside(venvs) if (folder / RUNTIME).exists())

    def read(self, file: Path) -> dict[str, Any] | None:
        """The tables of a file, None (and a problem) when it cannot be read or is not TOML."""
        try:
            data = self.instead.get(file)
            data = file.read_bytes() if data is None else data
            return tomllib.loads(data.decode("utf-8-sig"))  # some editors begin a file with a byte order mark
        except OSError as error:
            self._unread(file, f"cannot be read: {error.strerror}")
        except UnicodeDecodeError as error:
            line = error.object.count(b"\n", 0, error.start) + 1
            self._unread(file, f"is not UTF-8 (at line {line})")
        except ValueError as error:  # TOMLDecodeError is one, and so is a number of 5000 digits
            self._unread(file, f"is not TOML: {error}")
        except RecursionError:
            self._unread(file, "is not TOML that can be read: nested too deeply")
        return None

    def _inside(self, folder: Path) -> list[Path]:
        try:
            return list(folder.iterdir())
        except FileNotFoundError:
            return []
        except OSError as error:
            self._unread(folder, f"cannot be read: {error.strerror}")
            return []

    def _unread(self, file: Path, text: str) -> None:
        self.complete = False
        self.problems.append(f"{file}: {text}")

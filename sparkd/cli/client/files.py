"""Finds the files of a client, and what writing its configuration would change in them."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from sparkd.clients.configuration import ConfigFile, Configuration, Location
from sparkd.clients.formats import InvalidText, edit_text, parse_text
from sparkd.clients.formats.values import is_same
from sparkd.clients.merging import MergeConflict, merge
from sparkd.errors import ClientFileError

LARGEST = 16 * 1024 * 1024
"""Bytes. A larger file is not a configuration."""

PASTE = "Correct it, or run the command without --write and paste the lines."


class ClientFile(Struct, frozen=True):
    """A file and its place. `path` is None if the user has to choose one."""

    path: Path | None
    file: ConfigFile


class Change(Struct, frozen=True):
    """What a file has and what it should have. `old` is None if it does not exist.

    `path` is what the user knows it by, `target` where links lead.
    """

    path: Path
    target: Path
    old: bytes | None
    new: bytes


def locate_files(
    configuration: Configuration, first: str | None, environ: Mapping[str, str]
) -> list[ClientFile]:
    """The files with their places. `first`, if set, is the place of the first file."""
    return [
        ClientFile(
            Path(first).expanduser() if first and position == 0 else _locate(file.location, environ), file
        )
        for position, file in enumerate(configuration.files)
    ]


def plan_change(path: Path, file: ConfigFile) -> Change:
    """Merge the configuration into what the file at `path` has. Raises ClientFileError; changes nothing."""
    target = _follow_links(path)
    old = _read(path, target)
    try:
        text = "" if old is None else old.decode()
        existing = parse_text(file.format, text)
        content = merge(existing, file.content, file.items)
        new = text if is_same(existing, content) else edit_text(file.format, text, content)
    except UnicodeDecodeError as error:
        raise ClientFileError(f"{path}: byte {error.start} is not UTF-8. {PASTE}") from error
    except InvalidText as error:
        line = "" if error.line is None else f":{error.line}"
        raise ClientFileError(f"{path}{line}: {error.reason}. {PASTE}") from error
    except MergeConflict as error:
        raise ClientFileError(f"{path}: {error}. {PASTE}") from error
    return Change(path, target, old, new.encode())


def _locate(location: Location | None, environ: Mapping[str, str]) -> Path | None:
    if location is None:
        return None
    home = Path(environ.get("HOME") or Path.home())
    folder = home / location.folder
    if location.variable and environ.get(location.variable):
        folder = Path(environ[location.variable])
    elif location.has_xdg and environ.get("XDG_CONFIG_HOME"):
        folder = Path(environ["XDG_CONFIG_HOME"]) / location.folder.removeprefix(".config/")
    found = next(
        (name for name in location.names if (folder / name).is_symlink() or (folder / name).exists()), None
    )
    return folder / (found or location.names[0])


def _follow_links(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError) as error:  # RuntimeError before Python 3.13
        raise ClientFileError(f"{path}: its symbolic links lead in a circle. Remove the link.") from error


def _read(path: Path, target: Path) -> bytes | None:
    try:
        status = target.stat()
        if not stat.S_ISREG(status.st_mode):
            raise ClientFileError(f"{path} is not a file. Move it away, or name another file with --file.")
        if not status.st_mode & stat.S_IWUSR:
            raise ClientFileError(f"{path} is read-only. Allow writing with `chmod u+w {path}`.")
        if status.st_size > LARGEST:
            raise ClientFileError(
                f"{path} has {status.st_size} bytes, which is too much for a configuration."
            )
        return target.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ClientFileError(f"{path} cannot be read: {error.strerror}.") from error

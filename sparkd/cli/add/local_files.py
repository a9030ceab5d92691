"""A model's files on this machine: in a folder, or downloaded to the models folder."""

from __future__ import annotations

from pathlib import Path

from sparkd.errors import ModelNotAdded, SourceNotFound
from sparkd.guessing import FILE_LIMITS, Facts, parse_facts
from sparkd.hub.layout import read_commit, repository_folder


def read_folder_facts(folder: Path, source: str, name: str) -> Facts:
    """The facts in the files of a folder. Raises SourceNotFound and ModelNotAdded."""
    try:
        sizes = {path.name: path.stat().st_size for path in folder.iterdir() if path.is_file()}
    except NotADirectoryError as error:
        raise SourceNotFound(f"{folder} is a file; expected a folder with a config.json") from error
    except FileNotFoundError as error:
        raise SourceNotFound(f"there is no folder {folder}") from error
    except OSError as error:
        raise SourceNotFound(f"cannot read {folder}: {error.strerror}") from error
    texts = {
        file: _read_limited(folder / file, limit) for file, limit in FILE_LIMITS.items() if file in sizes
    }
    return parse_facts(source, name, texts, dict(sizes))


def find_downloaded(source: str, revision: str | None, models: Path) -> Path | None:
    """The folder of a repository's files at a revision, None if the models folder does not have it."""
    root = repository_folder(models, source)
    commit = read_commit(root, revision)
    folder = root / "snapshots" / (commit or "")
    return folder if commit and "/" not in commit and (folder / "config.json").is_file() else None


def _read_limited(file: Path, limit: int) -> bytes:
    try:
        with file.open("rb") as stream:
            data = stream.read(limit + 1)
    except OSError as error:
        raise ModelNotAdded(f"cannot read {file}: {error.strerror}") from error
    if len(data) > limit:
        raise ModelNotAdded(f"{file} is larger than {limit // 2**20} MiB, too large for such a file")
    return data

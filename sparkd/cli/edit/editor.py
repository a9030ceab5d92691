"""Runs the user's editor."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from sparkd.errors import InvalidRequest

KNOWN = ("sensible-editor", "editor", "nano", "vim", "vi")
"""Tried if neither VISUAL nor EDITOR is set."""


@contextmanager
def draft(name: str, text: str) -> Iterator[Path]:
    """A private file with a text to edit, deleted at the end."""
    with TemporaryDirectory(prefix="sparkctl-edit-") as folder:
        path = Path(folder) / Path(name).name
        path.write_text(text, encoding="utf-8", newline="")
        yield path


def run_editor(path: Path) -> str:
    """Have the user edit the file; return its text. Raises InvalidRequest."""
    command = _find_editor()
    try:
        code = subprocess.run([*command, str(path)], check=False).returncode
    except OSError as error:
        raise InvalidRequest(f"cannot run the editor {command[0]}: {error.strerror}; set EDITOR") from error
    if code:
        raise InvalidRequest(f"the editor {command[0]} exited with {code}; nothing was written")
    try:
        return path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"cannot read the edited text: {error}") from error


def _find_editor() -> list[str]:
    named = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    if named:
        return shlex.split(named)
    for name in KNOWN:
        if shutil.which(name):
            return [name]
    raise InvalidRequest("there is no editor; set EDITOR, or use --from")

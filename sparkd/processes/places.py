"""Where processes live: a private folder for each, its log file, and what a killed sparkd left of both."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Final

from sparkd.processes import orphans, pids
from sparkd.processes.log_file import previous
from sparkd.processes.orphans import RECORD, Record

LONGEST_FOLDER: Final = 107 - 37
"""Bytes of a private folder's path: vLLM makes sockets of 37 characters more in it, and 107 are what Linux allows."""

LOGS_KEPT: Final = 5
"""Log files per model."""


class Places:
    """Folders for processes under `run`, log files under `logs`.

    Where `run` is too long for sockets the folders are made elsewhere, and `notice` says where.
    """

    def __init__(self, run: Path, logs: Path) -> None:
        self._logs = logs.absolute()
        self._wanted = run.absolute()
        self._base = self._wanted / "engines"
        self.notice: str | None = None
        if len(os.fsencode(self._base / _name("", 99999))) > LONGEST_FOLDER:
            self._base = _short(self._wanted)
            self.notice = f"{self._wanted} is too long a path for sockets: engines live in {self._base}"

    def open(self, model_id: str, run: int) -> Path:
        """Make an empty private folder (0700) for one run of a model: its TMPDIR, its sockets. Raises OSError."""
        self._secure_base()
        room = LONGEST_FOLDER - len(os.fsencode(self._base / _name(model_id, run))) - 1
        slug = _slug(model_id)[: max(0, min(room, 24))].rstrip("-.")
        directory = self._base / (f"{slug}-" * bool(slug) + _name(model_id, run))
        if directory.exists():
            shutil.rmtree(directory)
        Record(model=model_id, owner=pids.identity(os.getpid())).write(directory)
        directory.mkdir(mode=0o700)
        return directory

    def record(self, directory: Path, pid: int) -> None:
        """Note which process lives there, so that a next sparkd can find what a killed one left."""
        record = Record.read(directory)
        record.leader = pids.identity(pid)
        record.write(directory)

    def close(self, directory: Path) -> None:
        """Remove the folder with its sockets and everything, and the record of it."""
        shutil.rmtree(directory, ignore_errors=True)
        directory.with_name(directory.name + RECORD).unlink(missing_ok=True)
        if self.notice:
            with suppress(OSError):  # others live there still
                self._base.rmdir()

    def log_path(self, model_id: str, run: int) -> Path:
        """Return a new log file's path, and remove all but the last few of the model's before it. Raises OSError."""
        self._logs.mkdir(parents=True, exist_ok=True)
        slug = _slug(model_id)
        own = f"{slug}-{_digest(model_id)}" if slug != model_id else slug
        pattern = re.compile(re.escape(own) + r"\.\d{8}T\d{9}\.\d+\.log")
        # Names sort by the time of the start, so a clock that is set back costs at most a log's turn.
        kept = sorted(path for path in self._logs.iterdir() if pattern.fullmatch(path.name))
        for path in kept[: max(0, len(kept) - LOGS_KEPT + 1)]:
            path.unlink(missing_ok=True)
            previous(path).unlink(missing_ok=True)
        now = time.time()
        moment = time.strftime("%Y%m%dT%H%M%S", time.gmtime(now)) + f"{int(now * 1000) % 1000:03}"
        return self._logs / f"{own}.{moment}.{run}.log"

    async def reap(self, keep: Collection[Path] | None = None) -> list[str]:
        """End and clear what killed sparkds left; return a line for each process tree that was ended.

        Folders of a sparkd that lives are left alone. Of our own, where `keep` says which are in use, only those are.
        """
        mine = pids.identity(os.getpid()) if keep is not None else None
        said = []
        for directory in _folders(self._base):
            record = Record.read(directory)
            owner = record.owner if record.is_of_this_boot else None
            if directory in (keep or ()) or (owner is not None and owner != mine and pids.lives(owner)):
                continue
            line, gone = await orphans.end(directory, record)
            if line:
                said.append(line)
            if gone:
                self.close(directory)
        return said

    def _secure_base(self) -> None:
        """Make the folder of folders. In a place where others write it must be ours and no link."""
        if not self.notice:
            self._base.mkdir(mode=0o700, parents=True, exist_ok=True)
            return
        with suppress(FileExistsError):
            self._base.mkdir(mode=0o700)
        found = self._base.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
            raise PermissionError(f"{self._base} is not a folder of ours alone: remove it")


def _folders(base: Path) -> list[Path]:
    """Private folders, those included of which only the record is left."""
    try:
        entries = list(base.iterdir())
    except OSError:
        return []
    names = {entry.name.removesuffix(RECORD) for entry in entries if not entry.name.endswith(".new")}
    return [base / name for name in sorted(names)]


def _short(run: Path) -> Path:
    """A folder with a short path that belongs to this long one, the same at each start."""
    name = f"sparkd-{os.getuid()}-{_digest(str(run))}"
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if runtime.startswith("/") and Path(runtime).is_dir() and len(os.fsencode(runtime)) <= 24:
        return Path(runtime) / name
    return Path("/tmp") / name  # noqa: S108 - owner and mode are checked before it is used


def _name(model_id: str, run: int) -> str:
    """What keeps the folders of two models, and of two runs, apart."""
    return f"{_digest(model_id)}.{run}"


def _digest(text: str) -> str:
    return hashlib.blake2s(text.encode(), digest_size=4).hexdigest()


def _slug(model_id: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", model_id).strip("-.") or "model"

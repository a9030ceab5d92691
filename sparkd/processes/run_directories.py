"""A private folder and a log file for each run, and the removal of what a killed sparkd left."""

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
from sparkd.processes.log_file import rotated_path
from sparkd.processes.orphans import RECORD_SUFFIX, RunRecord

MAX_FOLDER_PATH: Final = 107 - 37
"""Bytes of a private folder's path. vLLM creates sockets in it whose names add 37 characters; Linux allows 107."""

MAX_LOGS: Final = 5
"""Log files kept per model."""


class RunDirectories:
    """Creates private folders under `run` and log files under `logs`.

    If the path of `run` is too long for sockets, the folders are created elsewhere. `notice` then reports where.
    """

    def __init__(self, run: Path, logs: Path) -> None:
        self._logs = logs.absolute()
        self._run_folder = run.absolute()
        self._base = self._run_folder / "engines"
        self.notice: str | None = None
        if len(os.fsencode(self._base / _unique_name("", 99999))) > MAX_FOLDER_PATH:
            self._base = _short_base(self._run_folder)
            self.notice = (
                f"The path {self._run_folder} is too long for sockets; engines use {self._base} instead. "
                "Set a shorter paths.run to avoid this."
            )

    def create(self, model_id: str, run: int) -> Path:
        """Create an empty private folder (0700) for the TMPDIR and sockets of one run. Raises OSError."""
        self._secure_base()
        max_slug = MAX_FOLDER_PATH - len(os.fsencode(self._base / _unique_name(model_id, run))) - 1
        slug = _slug(model_id)[: max(0, min(max_slug, 24))].rstrip("-.")
        directory = self._base / (f"{slug}-" * bool(slug) + _unique_name(model_id, run))
        if directory.exists():
            shutil.rmtree(directory)
        RunRecord(model=model_id, owner=pids.identify(os.getpid())).write(directory)
        directory.mkdir(mode=0o700)
        return directory

    def record_process(self, directory: Path, pid: int) -> None:
        """Record the process that uses the folder, so that the next sparkd can find it if this one is killed."""
        record = RunRecord.read(directory)
        record.leader = pids.identify(pid)
        record.write(directory)

    def remove(self, directory: Path) -> None:
        """Remove the folder with all its files, and its record."""
        shutil.rmtree(directory, ignore_errors=True)
        directory.with_name(directory.name + RECORD_SUFFIX).unlink(missing_ok=True)
        if self.notice:
            with suppress(OSError):  # it contains other folders
                self._base.rmdir()

    def new_log_path(self, model_id: str, run: int) -> Path:
        """Return a new log file's path; remove the model's older log files beyond MAX_LOGS. Raises OSError."""
        self._logs.mkdir(parents=True, exist_ok=True)
        # If the clock is set back, a newer log may be removed before an older one.
        logs = self.log_paths(model_id)
        for path in logs[: max(0, len(logs) - MAX_LOGS + 1)]:
            path.unlink(missing_ok=True)
            rotated_path(path).unlink(missing_ok=True)
        now = time.time()
        timestamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(now)) + f"{int(now * 1000) % 1000:03}"
        return self._logs / f"{_log_stem(model_id)}.{timestamp}.{run}.log"

    def log_paths(self, model_id: str) -> list[Path]:
        """Return the log files of the model's runs, oldest first, as far as they are kept. Reads the disk."""
        pattern = re.compile(re.escape(_log_stem(model_id)) + r"\.\d{8}T\d{9}\.\d+\.log")
        try:
            # Names sort by start time.
            return sorted(path for path in self._logs.iterdir() if pattern.fullmatch(path.name))
        except OSError:
            return []

    async def reap_orphans(self, keep: Collection[Path] | None = None) -> list[str]:
        """Kill the processes and remove the folders that a killed sparkd left. Return a message for each engine.

        Folders of another running sparkd stay. With `keep`, of our own folders only those in `keep` stay; without it,
        all of our own stay.
        """
        own_identity = pids.identify(os.getpid()) if keep is not None else None
        lines = []
        for directory in _list_directories(self._base):
            record = RunRecord.read(directory)
            owner = record.owner if record.is_of_this_boot else None
            if directory in (keep or ()) or (
                owner is not None and owner != own_identity and pids.is_running(owner)
            ):
                continue
            line, all_exited = await orphans.kill_orphans(directory, record)
            if line:
                lines.append(line)
            if all_exited:
                self.remove(directory)
        return lines

    def _secure_base(self) -> None:
        """Create the folder that contains the private folders. In a shared folder it must be ours, and not a link."""
        if not self.notice:
            self._base.mkdir(mode=0o700, parents=True, exist_ok=True)
            return
        with suppress(FileExistsError):
            self._base.mkdir(mode=0o700)
        status = self._base.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
            raise PermissionError(f"{self._base} exists, but other users can access it: remove it")


def _list_directories(base: Path) -> list[Path]:
    """Return the private folders, including those of which only the record is left."""
    try:
        entries = list(base.iterdir())
    except OSError:
        return []
    names = {entry.name.removesuffix(RECORD_SUFFIX) for entry in entries if not entry.name.endswith(".new")}
    return [base / name for name in sorted(names)]


def _short_base(run: Path) -> Path:
    """Return the short path that replaces a long one. It is the same at each start."""
    name = f"sparkd-{os.getuid()}-{_digest(str(run))}"
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if runtime.startswith("/") and Path(runtime).is_dir() and len(os.fsencode(runtime)) <= 24:
        return Path(runtime) / name
    return Path("/tmp") / name  # noqa: S108 - owner and mode are checked before it is used


def _unique_name(model_id: str, run: int) -> str:
    """Return the part of a folder's name that is unique to a model and a run."""
    return f"{_digest(model_id)}.{run}"


def _log_stem(model_id: str) -> str:
    """Return the part of a log file's name that is unique to a model."""
    slug = _slug(model_id)
    return f"{slug}-{_digest(model_id)}" if slug != model_id else slug


def _digest(text: str) -> str:
    return hashlib.blake2s(text.encode(), digest_size=4).hexdigest()


def _slug(model_id: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", model_id).strip("-.") or "model"

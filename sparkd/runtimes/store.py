"""Finished builds on disk: `<root>/<name>-<digest>`, each with a record of its inputs.

Unfinished builds have `.building-` or `.removing-` in their name, and are removed.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

import msgspec
from msgspec import Struct

from sparkd.catalog.runtime import Runtime
from sparkd.errors import RuntimeBuildError, RuntimeNotFound
from sparkd.runtimes.definition import fingerprint

RECORD = "sparkd-build.json"
CACHE = ".cache"
STEPS = ".steps"
"""The folder of builds from source: see steps.py."""

_LOCK = ".lock"
_ROLLED_BACK = ".rolled-back"
_UNFINISHED = re.compile(r".+-[0-9a-f]{12}\.(building|removing)-.+")


class Record(Struct, frozen=True, kw_only=True):
    """The record of a finished build. `created` is in seconds since 1970; `versions` has all packages."""

    name: str
    fingerprint: str
    python: str
    created: float
    versions: Mapping[str, str] = {}


class Build(Struct, frozen=True, kw_only=True):
    """A finished build. `usable` is False if its Python has been removed from the machine."""

    folder: Path
    record: Record
    usable: bool


def folder_name(name: str, fingerprint_: str, python: str) -> str:
    """The name of a build's folder: the runtime's name, and twelve digits of the digest of its inputs."""
    return f"{name}-{hashlib.sha256(f'{fingerprint_} {python}'.encode()).hexdigest()[:12]}"


def list_builds(root: Path) -> list[Build]:
    """All finished builds under `root`, the oldest first."""
    builds = []
    for path in root.glob(f"*/{RECORD}"):
        if _UNFINISHED.fullmatch(path.parent.name):
            continue
        # After a power cut it may contain anything.
        with contextlib.suppress(OSError, ValueError, msgspec.MsgspecError):
            record = msgspec.json.decode(path.read_bytes(), type=Record)
            # A virtualenv's python is a link, which an upgrade of the system may break.
            usable = (path.parent / "bin" / "python").exists()
            builds.append(Build(folder=path.parent, record=record, usable=usable))
    return sorted(builds, key=lambda build: build.record.created)


def find_installed(runtime: Runtime, root: Path) -> Path | None:
    """The folder of the build of `runtime` in which engines start, None if there is none.

    It is the build that was rolled back to, or the one of the current definition. It reads only a few small files, so
    a launch can call it.
    """
    return find_rolled_back(runtime.name, root) or find_built(runtime, root)


def find_rolled_back(name: str, root: Path) -> Path | None:
    """The folder of the build that a runtime was rolled back to, None if there is none or it was removed."""
    try:
        folder = root / (root / _ROLLED_BACK / name).read_text().strip()
    except (OSError, ValueError):
        return None
    return next(
        (
            build.folder
            for build in list_builds(root)
            if build.folder == folder and build.usable and build.record.name == name
        ),
        None,
    )


def roll_back(runtime: Runtime, root: Path) -> tuple[Path | None, Build]:
    """Make engines start in the previous build. Return the folder used before, and the build used from now on.

    Raises RuntimeNotFound if there is no earlier build. Running engines continue.
    """
    current = find_installed(runtime, root)
    before = find_previous(runtime.name, list_builds(root), current)
    if before is None:
        than = f"older than {current.name}" if current else "to roll back to"
        raise RuntimeNotFound(f"runtime {runtime.name!r} has no build {than}")
    note = root / _ROLLED_BACK / runtime.name
    note.parent.mkdir(exist_ok=True)
    new = note.with_name(f"{runtime.name}.new-{os.getpid()}")
    with new.open("w") as file:
        file.write(before.folder.name)
        file.flush()
        os.fsync(file.fileno())
    new.replace(note)
    return current, before


def undo_roll_back(root: Path, name: str) -> bool:
    """End a rollback of a runtime. Return whether there was one."""
    try:
        (root / _ROLLED_BACK / name).unlink()
    except FileNotFoundError:
        return False
    return True


def identify_build(folder: Path) -> str:
    """Return what identifies one build: its folder and when it was finished. A rebuild has another identity."""
    try:
        finished = (folder / RECORD).stat().st_mtime_ns
    except OSError:
        finished = 0
    return f"{folder.name}@{finished}"


def find_previous(name: str, builds: Sequence[Build], current: Path | None) -> Build | None:
    """The newest usable build of a runtime that is older than its `current` build."""
    created = next((build.record.created for build in builds if build.folder == current), float("inf"))
    older = (
        build
        for build in reversed(builds)
        if build.record.name == name and build.usable and build.record.created < created
    )
    return next(older, None)


def find_built(runtime: Runtime, root: Path) -> Path | None:
    """The folder of the finished build of the current definition of `runtime`, None if there is none."""
    try:
        wanted = fingerprint(runtime)
    except RuntimeBuildError:
        return None
    for build in reversed(list_builds(root)):
        if build.usable and build.record.name == runtime.name and build.record.fingerprint == wanted:
            return build.folder
    return None


@contextlib.contextmanager
def hold_lock(root: Path, report: Callable[[str], None]) -> Iterator[IO[bytes]]:
    """Hold the lock of `root`, and wait for it if necessary.

    Programs that inherit the file hold the lock too, so a killed build ends only when its last program exits.
    """
    root.mkdir(parents=True, exist_ok=True)
    with (root / _LOCK).open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report(f"Waiting for another build in {root} …")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock


def clear_unfinished(root: Path) -> None:
    """Remove what interrupted builds and removals left. The lock must be held."""
    for path in root.iterdir():
        if _UNFINISHED.fullmatch(path.name):
            shutil.rmtree(path)


def remove_build(folder: Path) -> None:
    """Remove a build. It is renamed first, because half a build must not look finished."""
    removed = folder.with_name(f"{folder.name}.removing-{os.getpid()}")
    folder.rename(removed)
    shutil.rmtree(removed)


def publish_build(building: Path, folder: Path, record: Record) -> None:
    """Put a verified build in place. The lock must be held."""
    (building / RECORD).write_bytes(msgspec.json.format(msgspec.json.encode(record)))
    # Sync first: after a power cut, a renamed folder with empty files would look finished.
    os.sync()
    if folder.exists():
        remove_build(folder)
    building.rename(folder)

"""Finished builds on disk: `<root>/<name>-<digest>`, each with a record of what it was built from.

Whatever is not finished carries `.building-` or `.removing-` in its name, and has no business but to be cleared.
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

from sparkd.catalog.definitions import Runtime
from sparkd.errors import RuntimeBuildError, RuntimeNotFound
from sparkd.runtimes.definition import fingerprint

RECORD = "sparkd-build.json"
CACHE = ".cache"
STEPS = ".steps"
"""What builds from source leave: see stepping.py."""

_LOCK = ".lock"
_ROLLED_BACK = ".rolled-back"
_UNFINISHED = re.compile(r".+-[0-9a-f]{12}\.(building|removing)-.+")


class Record(Struct, frozen=True, kw_only=True):
    """What a finished build says about itself. `created` is in seconds since 1970; `versions` of all packages."""

    name: str
    fingerprint: str
    python: str
    created: float
    versions: Mapping[str, str] = {}


class Build(Struct, frozen=True, kw_only=True):
    """A finished build. `usable` is False when the Python it stands on has left the machine."""

    folder: Path
    record: Record
    usable: bool


def folder_name(name: str, fingerprint_: str, python: str) -> str:
    """The name of a build's folder: the runtime's, and twelve digits of all that went into it."""
    return f"{name}-{hashlib.sha256(f'{fingerprint_} {python}'.encode()).hexdigest()[:12]}"


def list_builds(root: Path) -> list[Build]:
    """All finished builds under `root`, the oldest first."""
    builds = []
    for path in root.glob(f"*/{RECORD}"):
        if _UNFINISHED.fullmatch(path.parent.name):
            continue
        with contextlib.suppress(
            OSError, ValueError, msgspec.MsgspecError
        ):  # after a power cut it may hold anything
            record = msgspec.json.decode(path.read_bytes(), type=Record)
            # A virtualenv's python is a link: after an upgrade of the system it may lead nowhere.
            usable = (path.parent / "bin" / "python").exists()
            builds.append(Build(folder=path.parent, record=record, usable=usable))
    return sorted(builds, key=lambda build: build.record.created)


def installed(runtime: Runtime, root: Path) -> Path | None:
    """The folder of the build of `runtime` that engines run in, None where there is none.

    That is the one it was rolled back to, else the one of its definition as it is now. Reads a few small files and
    starts nothing: a launch can afford it.
    """
    return rolled_back(runtime.name, root) or built(runtime, root)


def rolled_back(name: str, root: Path) -> Path | None:
    """The folder of the build that a runtime was rolled back to, None if it was not or that is gone."""
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
    """Makes engines run in the build before the present one: what was in use, and what is from now on.

    Raises RuntimeNotFound when there is none. Engines that run are left alone.
    """
    current = installed(runtime, root)
    before = previous(runtime.name, list_builds(root), current)
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


def go_forward(root: Path, name: str) -> bool:
    """Ends a runtime's being rolled back; whether it was."""
    try:
        (root / _ROLLED_BACK / name).unlink()
    except FileNotFoundError:
        return False
    return True


def previous(name: str, builds: Sequence[Build], current: Path | None) -> Build | None:
    """The newest usable build of a runtime that is older than its `current` one."""
    born = next((build.record.created for build in builds if build.folder == current), float("inf"))
    older = (
        build
        for build in reversed(builds)
        if build.record.name == name and build.usable and build.record.created < born
    )
    return next(older, None)


def built(runtime: Runtime, root: Path) -> Path | None:
    """The folder of the finished build of `runtime` as it is defined now, None where there is none."""
    try:
        wanted = fingerprint(runtime)
    except RuntimeBuildError:
        return None
    for build in reversed(list_builds(root)):
        if build.usable and build.record.name == runtime.name and build.record.fingerprint == wanted:
            return build.folder
    return None


@contextlib.contextmanager
def locked(root: Path, report: Callable[[str], None]) -> Iterator[IO[bytes]]:
    """Holds the one lock of `root`; waits for whoever has it.

    Programs that inherit the file hold the lock too: a killed build is over only when its last program is.
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
    """Removes what interrupted builds and removals left. The lock must be held."""
    for path in root.iterdir():
        if _UNFINISHED.fullmatch(path.name):
            shutil.rmtree(path)


def remove(folder: Path) -> None:
    """Removes a build; renamed first, because half a build must not look finished."""
    doomed = folder.with_name(f"{folder.name}.removing-{os.getpid()}")
    folder.rename(doomed)
    shutil.rmtree(doomed)


def finish(building: Path, folder: Path, record: Record) -> None:
    """Puts a verified build in its place. The lock must be held."""
    (building / RECORD).write_bytes(msgspec.json.format(msgspec.json.encode(record)))
    # The disk first: after a power cut a renamed folder with empty files would look finished.
    os.sync()
    if folder.exists():
        remove(folder)
    building.rename(folder)

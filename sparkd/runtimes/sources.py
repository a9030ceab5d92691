"""Sources of a step: fetches commits, checks them out again for each attempt, and applies patches."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from sparkd.catalog.steps import Checkout, Patch, Step
from sparkd.errors import RuntimeBuildError
from sparkd.runtimes.programs import ProgramFailed

Git = Callable[..., str]
"""Runs git: `git(folder, *arguments)` returns its output. Raises ProgramFailed."""

# Messages of git and of servers about a missing commit.
_COMMIT_MISSING = re.compile(
    r"not our ref|couldn't find remote ref|unadvertised object|no such remote ref", re.IGNORECASE
)


def check_out_sources(step: Step, source: Path, fetched: Path, git: Git) -> None:
    """Make `source` contain exactly the sources of `step`, without patches. Raises RuntimeBuildError.

    `fetched` keeps what came over the network, so that a second attempt needs no network.
    """
    shutil.rmtree(source, ignore_errors=True)
    source.mkdir(parents=True)
    for checkout in step.sources:
        try:
            _check_out(checkout, source / checkout.into, fetched, git)
        except ProgramFailed as failed:
            what = f"Step {step.step!r}: cannot fetch {checkout.repository}"
            if any(_COMMIT_MISSING.search(line) for line in failed.lines):
                what = f"Step {step.step!r}: {checkout.repository} has no commit {checkout.commit}"
            raise RuntimeBuildError(failed.describe(what)) from failed


def _check_out(checkout: Checkout, place: Path, fetched: Path, git: Git) -> None:
    store = _fetch(checkout, fetched, git)
    shutil.rmtree(place, ignore_errors=True)  # the empty folder of a submodule, which this checkout replaces
    place.mkdir(parents=True)
    git(place, "init", "--quiet", ".")
    try:
        # From the local store and by its hash, so git verifies that it is this commit.
        git(place, "fetch", "--quiet", "--depth=1", str(store), checkout.commit)
    except ProgramFailed:
        # It may be damaged by a power cut: the next attempt fetches it again.
        shutil.rmtree(store, ignore_errors=True)
        raise
    git(place, "-c", "advice.detachedHead=false", "checkout", "--quiet", "--detach", checkout.commit)
    git(place, "remote", "add", "origin", checkout.repository)  # the base of relative addresses of submodules
    if checkout.submodules:
        git(
            place,
            "submodule",
            "--quiet",
            "update",
            "--init",
            "--recursive",
            "--depth=1",
            "--",
            *checkout.submodules,
        )


def _fetch(checkout: Checkout, fetched: Path, git: Git) -> Path:
    """A bare repository with that commit. Git writes the ref `kept` last, so a commit with that ref is complete."""
    name = hashlib.sha256(f"{checkout.repository} {checkout.commit}".encode()).hexdigest()[:12]
    store = fetched / f"{name}.git"
    store.mkdir(parents=True, exist_ok=True)
    try:
        git(store, "rev-parse", "--quiet", "--verify", "refs/kept^{commit}")
    except ProgramFailed:
        # Interrupted, or damaged by a power cut: git would fail on such a repository.
        shutil.rmtree(store)
        store.mkdir()
        git(store, "init", "--quiet", "--bare", ".")
        git(store, "fetch", "--quiet", "--depth=1", checkout.repository, f"{checkout.commit}:refs/kept")
    return store


def apply_patches(step: Step, source: Path, definition: Path, git: Git) -> None:
    """Apply the patches of `step`, files below `definition`. Raises RuntimeBuildError with the patch's name."""
    for change in step.patches:
        file = definition / change.file
        if file_digest(file) != change.sha256:
            raise RuntimeBuildError(
                f"Step {step.step!r}: {file} is not the pinned patch: its SHA-256 is "
                f"{file_digest(file)}, not {change.sha256}."
            )
        _apply(step, change, source, file, git)


def _apply(step: Step, change: Patch, source: Path, file: Path, git: Git) -> None:
    try:
        git(source / change.into, "apply", "--whitespace=nowarn", str(file.absolute()))
    except ProgramFailed as failed:
        what = f"Step {step.step!r}: {change.file} does not apply to the source"
        raise RuntimeBuildError(failed.describe(what)) from failed


def file_digest(file: Path) -> str:
    """The SHA-256 of a file. Raises RuntimeBuildError if it cannot be read."""
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        raise RuntimeBuildError(f"Cannot read {file}: {error.strerror}.") from error

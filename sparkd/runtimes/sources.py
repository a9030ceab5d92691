"""Sources of a step: commits fetched by name, laid out anew for each attempt, and patched."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from sparkd.catalog.steps import Checkout, Patch, Step
from sparkd.errors import RuntimeBuildError
from sparkd.runtimes.running import ProgramFailed

Git = Callable[..., str]
"""Runs git: `git(folder, *arguments)` returns what it printed. Raises ProgramFailed."""

# Words of git and of the servers it talks to, where they do not have a commit.
_ABSENT = re.compile(
    r"not our ref|couldn't find remote ref|unadvertised object|no such remote ref", re.IGNORECASE
)


def lay_out(step: Step, source: Path, fetched: Path, git: Git) -> None:
    """Makes `source` the sources of `step` and nothing else, before patches. Raises RuntimeBuildError.

    What came over the network is kept in `fetched`, so that a second attempt needs none.
    """
    shutil.rmtree(source, ignore_errors=True)
    source.mkdir(parents=True)
    for checkout in step.sources:
        try:
            _check_out(checkout, source / checkout.into, fetched, git)
        except ProgramFailed as failed:
            what = f"Step {step.step!r}: cannot fetch {checkout.repository}"
            if any(_ABSENT.search(line) for line in failed.lines):
                what = f"Step {step.step!r}: {checkout.repository} has no commit {checkout.commit}"
            raise RuntimeBuildError(failed.told(what)) from failed


def _check_out(checkout: Checkout, place: Path, fetched: Path, git: Git) -> None:
    store = _fetch(checkout, fetched, git)
    shutil.rmtree(place, ignore_errors=True)  # a submodule's empty folder, where we put a commit of our own
    place.mkdir(parents=True)
    git(place, "init", "--quiet", ".")
    try:
        # Local, and by the commit's own name: what git checks out under it can be nothing else.
        git(place, "fetch", "--quiet", "--depth=1", str(store), checkout.commit)
    except ProgramFailed:
        shutil.rmtree(
            store, ignore_errors=True
        )  # damaged by a power cut, say: the next attempt fetches it again
        raise
    git(place, "-c", "advice.detachedHead=false", "checkout", "--quiet", "--detach", checkout.commit)
    git(place, "remote", "add", "origin", checkout.repository)  # relative addresses of submodules begin there
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
    """A bare repository with that commit. Git names it `kept` last, so what has the name is whole."""
    name = hashlib.sha256(f"{checkout.repository} {checkout.commit}".encode()).hexdigest()[:12]
    store = fetched / f"{name}.git"
    store.mkdir(parents=True, exist_ok=True)
    try:
        git(store, "rev-parse", "--quiet", "--verify", "refs/kept^{commit}")
    except ProgramFailed:
        # Interrupted, or damaged by a power cut: git would stop at what such a repository has.
        shutil.rmtree(store)
        store.mkdir()
        git(store, "init", "--quiet", "--bare", ".")
        git(store, "fetch", "--quiet", "--depth=1", checkout.repository, f"{checkout.commit}:refs/kept")
    return store


def patch(step: Step, source: Path, definition: Path, git: Git) -> None:
    """Applies the patches of `step`, files below `definition`. Raises RuntimeBuildError, naming the patch."""
    for change in step.patches:
        file = definition / change.file
        if digest_of(file) != change.sha256:
            raise RuntimeBuildError(
                f"Step {step.step!r}: {file} is not the pinned patch: its SHA-256 is "
                f"{digest_of(file)}, not {change.sha256}."
            )
        _apply(step, change, source, file, git)


def _apply(step: Step, change: Patch, source: Path, file: Path, git: Git) -> None:
    try:
        git(source / change.into, "apply", "--whitespace=nowarn", str(file.absolute()))
    except ProgramFailed as failed:
        what = f"Step {step.step!r}: {change.file} does not apply to the source"
        raise RuntimeBuildError(failed.told(what)) from failed


def digest_of(file: Path) -> str:
    """The SHA-256 of a file. Raises RuntimeBuildError if it cannot be read."""
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        raise RuntimeBuildError(f"Cannot read {file}: {error.strerror}.") from error

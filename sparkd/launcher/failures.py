"""Which models and runtimes start cold, because warm starts of theirs have failed. No I/O, no clock."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec import Struct, structs

MAX_FAILURES: Final = 2
"""Failures since the last warm start that succeeded, after which a build of a runtime is not used warm again."""


class WarmFailure(Struct, frozen=True, kw_only=True):
    """Warm starts failed for this model, where a cold one succeeded. `model` is empty if the launcher itself failed.

    `build` identifies a build of a runtime. `recent` is the number of failures since the last warm start of the build
    that succeeded.
    """

    build: str
    model: str
    cause: str
    recent: int


class WarmFailures:
    """The failures of all builds. A new build, even of the same definition, has another identity."""

    def __init__(self, failures: Iterable[WarmFailure] = ()) -> None:
        self._failures = {(each.build, each.model): each for each in failures}

    def find_reason(self, build: str, model: str) -> str | None:
        """Return why this model must start cold, None if it may start warm."""
        if failure := self._failures.get((build, model)):
            return f"its warm start failed: {failure.cause}"
        return self.find_build_reason(build)

    def find_build_reason(self, build: str) -> str | None:
        """Return why every model of this build must start cold, None if they may start warm."""
        recent = [each for each in self._failures.values() if each.build == build and each.recent]
        if sum(each.recent for each in recent) < MAX_FAILURES:
            return None
        return f"warm starts of this runtime failed: {recent[-1].cause}"

    def add(self, build: str, model: str, cause: str, *, final: bool = False) -> WarmFailure:
        """Record a failure; return its record. With `final`, the build is not used warm again at once."""
        earlier = self._failures.pop((build, model), None)
        recent = MAX_FAILURES if final else (earlier.recent if earlier else 0) + 1
        failure = WarmFailure(build=build, model=model, cause=cause, recent=recent)
        self._failures[(build, model)] = failure
        return failure

    def record_success(self, build: str) -> list[WarmFailure]:
        """A warm start succeeded, so earlier failures were their models' own. Return the records that have changed."""
        changed = [
            structs.replace(each, recent=0)
            for each in self._failures.values()
            if each.build == build and each.recent
        ]
        self._failures.update({(each.build, each.model): each for each in changed})
        return changed

    def clear(self, build: str) -> None:
        """Forget the failures of a build: the owner wants it tried again."""
        self._failures = {key: each for key, each in self._failures.items() if each.build != build}

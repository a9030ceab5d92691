"""Finds the request that makes an engine fail. No I/O, no clock.

A client's program repeats a request that failed. If the request itself makes the engine fail, each repetition would end
the engine for all other clients. So sparkd remembers which requests were in flight when an engine failed, as digests:
of the exact bytes, and of the shape, which requests with another wording have too. A request is convicted if it was

- alone in flight at `suspect_after` failures of its model, or
- the only one that was in flight at each of the last `suspect_after` failures.

A shape needs one failure more. A request that was answered is acquitted, and so is its shape. So a request that happens
to be in flight twice when someone kills the engine is convicted only if it was never answered.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence
from functools import reduce
from typing import Final, Literal

from msgspec import Struct, field

MEMORY: Final = 3600.0
"""Seconds after which a failure counts no longer."""

MAX_CRASHES: Final = 8
MAX_SUSPECTS: Final = 1024
MAX_CONVICTIONS: Final = 64
"""Failures that are remembered for a model, requests of one failure, and convictions of a model."""

Level = Literal["exact", "shape"]


class Suspect(Struct, frozen=True):
    """A request that was in flight when an engine failed.

    `exact` and `shape` are digests; an ordinary request has no shape, and `fields` are what makes others
    unusual. `size` is bytes.
    """

    exact: bytes
    size: int
    shape: bytes | None = None
    fields: tuple[str, ...] = ()
    request_id: str = ""


class Conviction(Struct):
    """What is rejected until `until` (seconds of the caller's clock). `request_id` is the last request that made its
    engine fail, `crashes` is how often it was in flight, `rejected` how many requests were rejected since."""

    level: Level
    digest: bytes
    size: int
    fields: tuple[str, ...]
    request_id: str
    crashes: int
    until: float
    rejected: int = 0


class Crash(Struct):
    """A failure of a ready engine. `sole` and `sole_shape` are the only ones that were in flight, if there is only one.

    `is_complete`: every request that was in flight is known.
    """

    at: float
    is_complete: bool
    exacts: set[bytes]
    shapes: set[bytes]
    sole: bytes | None = None
    sole_shape: bytes | None = None
    sizes: set[int] = field(default_factory=set)
    fields: set[tuple[str, ...]] = field(default_factory=set)


class CrashRecord:
    """The failures of one model. `suspect_after` is a count, `reject_for` seconds; both may change."""

    def __init__(self, suspect_after: int, reject_for: float) -> None:
        self.suspect_after = suspect_after
        self.reject_for = reject_for
        self._crashes: deque[Crash] = deque(maxlen=MAX_CRASHES)
        self._convictions: OrderedDict[bytes, Conviction] = OrderedDict()
        self._may_forgive = True

    # Events

    def record_crash(
        self, suspects: Sequence[Suspect], now: float, *, is_complete: bool = True
    ) -> list[Conviction]:
        """Record a failure and the requests that were in flight; return what is convicted by it."""
        self.expire(now)
        crash = _describe_crash(suspects, now, is_complete=is_complete)
        self._crashes.append(crash)
        exact = self._find_exact(crash, {each.exact: each.shape for each in suspects})
        shape = self._find_shape(crash)
        convicted: list[Conviction] = []
        for level, digest in (("exact", exact), ("shape", shape)):
            suspect = next((s for s in suspects if digest in (s.exact, s.shape)), None) if digest else None
            if suspect is not None and digest is not None:
                convicted.append(
                    self._convict("exact" if level == "exact" else "shape", digest, suspect, now)
                )
        return convicted

    def forgive(self) -> bool:
        """Whether the failure that led to a conviction does not count against the model.

        If all requests made the engine fail, each would be convicted in turn, and the model never be quarantined.
        So after a forgiven failure, the next one is forgiven only if a request was answered in between.
        """
        may, self._may_forgive = self._may_forgive, False
        return may

    def acquit(self, exact: bytes | None, shape: bytes | None) -> None:
        """The model has answered this request: neither it nor its shape has made an engine fail."""
        for crash in self._crashes:
            crash.exacts.discard(exact or b"")
            crash.shapes.discard(shape or b"")
            crash.sole = None if crash.sole == exact else crash.sole
            crash.sole_shape = None if crash.sole_shape == shape else crash.sole_shape

    def record_answer(self) -> None:
        """The model has answered a request successfully: its engine works."""
        self._may_forgive = True

    def expire(self, now: float) -> bool:
        """Forget old failures and convictions; return whether nothing is left."""
        while self._crashes and now - self._crashes[0].at >= MEMORY:
            self._crashes.popleft()
        for digest in [key for key, each in self._convictions.items() if now >= each.until]:
            del self._convictions[digest]
        return not self._crashes and not self._convictions

    # Look-ups

    @property
    def convictions(self) -> Iterable[Conviction]:
        """What is rejected."""
        return self._convictions.values()

    def may_know_exact(self, size: int) -> bool:
        """Whether a request of that size, in bytes, may be a suspect or convicted."""
        return any(size in crash.sizes for crash in self._crashes) or any(
            each.level == "exact" and each.size == size for each in self._convictions.values()
        )

    def shapes(self) -> set[tuple[str, ...]]:
        """The unusual fields of each suspected or convicted shape."""
        convicted = {each.fields for each in self._convictions.values() if each.level == "shape"}
        return convicted.union(*(crash.fields for crash in self._crashes if crash.shapes))

    def is_suspect(self, exact: bytes) -> bool:
        """Whether the request was in flight when an engine failed, and has not been answered since."""
        return any(exact in crash.exacts for crash in self._crashes)

    def find_conviction(self, exact: bytes | None, shape: bytes | None) -> Conviction | None:
        """Why the request is rejected; None if it is not."""
        return self._convictions.get(exact or b"") or self._convictions.get(shape or b"")

    # Rules

    def _find_exact(self, crash: Crash, shape_of: dict[bytes, bytes | None]) -> bytes | None:
        """The request that has made the engine fail, if that is clear by now."""
        alone = sum(each.sole == crash.sole for each in self._crashes)
        if crash.sole is not None and alone >= self.suspect_after:
            return crash.sole
        latest = self._latest(self.suspect_after)
        common = _intersect([each.exacts for each in latest])
        if len(common) != 1:
            return None
        (exact,) = common
        # Another shape that was always there may be the reason as well: its client may change the wording each time.
        others = _intersect([each.shapes for each in latest]) - {shape_of.get(exact)}
        return None if others else exact

    def _find_shape(self, crash: Crash) -> bytes | None:
        """The shape that has made the engine fail, if that is clear by now."""
        alone = sum(each.sole_shape == crash.sole_shape for each in self._crashes)
        if crash.sole_shape is not None and alone > self.suspect_after:
            return crash.sole_shape
        common = _intersect([each.shapes for each in self._latest(self.suspect_after + 1)])
        return next(iter(common)) if len(common) == 1 else None

    def _latest(self, count: int) -> list[Crash]:
        """The last failures; none if there are fewer, or if it is unknown what was in flight."""
        latest = list(self._crashes)[-count:]
        return latest if len(latest) == count and all(each.is_complete for each in latest) else []

    def _convict(self, level: Level, digest: bytes, suspect: Suspect, now: float) -> Conviction:
        conviction = Conviction(
            level=level,
            digest=digest,
            size=suspect.size,
            fields=suspect.fields if level == "shape" else (),
            request_id=suspect.request_id,
            crashes=sum(digest in each.exacts or digest in each.shapes for each in self._crashes),
            until=now + self.reject_for,
        )
        self._convictions[digest] = conviction
        while len(self._convictions) > MAX_CONVICTIONS:
            self._convictions.popitem(last=False)
        return conviction


def _describe_crash(suspects: Sequence[Suspect], now: float, *, is_complete: bool) -> Crash:
    is_complete = is_complete and len(suspects) <= MAX_SUSPECTS
    kept = suspects[:MAX_SUSPECTS]
    exacts, shapes = {each.exact for each in kept}, {each.shape for each in kept}
    return Crash(
        at=now,
        is_complete=is_complete,
        exacts=exacts,
        shapes={shape for shape in shapes if shape is not None},
        sole=next(iter(exacts)) if is_complete and len(exacts) == 1 else None,
        sole_shape=next(iter(shapes)) if is_complete and len(shapes) == 1 else None,
        sizes={each.size for each in kept},
        fields={each.fields for each in kept if each.shape is not None},
    )


def _intersect(sets: list[set[bytes]]) -> set[bytes]:
    return reduce(set.intersection, sets, set(sets[0])) if sets else set()

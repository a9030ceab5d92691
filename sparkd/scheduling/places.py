"""The places of clients that left the queue. A client that requests the same model again soon gets its place back.

Many clients give up after a few minutes and try again at once. Without this they would start at the end each time.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable
from typing import Final

from msgspec import Struct, field

from sparkd.scheduling.claim import Claim

MAX_CLIENTS: Final = 4096
"""Pairs of a client and a model whose places are kept at most. The one that was added first is forgotten first."""

MAX_PLACES: Final = 64
"""Places of one client for one model that are kept at most."""


class Place(Struct, frozen=True):
    """The place of a request that left: when it arrived, and until when it is kept. Seconds of the caller's clock."""

    arrived: float
    until: float


class PlaceSnapshot(Struct, frozen=True):
    """A place that a sparkd hands to its replacement."""

    client: str
    model: str
    place: Place


class Places(Struct):
    """The kept places, by client and model. `seconds` is how long one is kept, 0 to keep none."""

    seconds: float = 0.0
    kept: OrderedDict[tuple[str, str], deque[Place]] = field(default_factory=OrderedDict)

    def keep(self, model: str, claim: Claim, arrived: float, now: float) -> None:
        """Keep the place of a request that leaves. A request in the background, or of an unknown client, has none."""
        self._forget_expired(now)
        if not claim.client or claim.background or self.seconds <= 0:
            return
        key = claim.client, model
        places = self.kept.setdefault(key, deque(maxlen=MAX_PLACES))
        places.append(Place(arrived, now + self.seconds))
        self.kept.move_to_end(key)
        if len(self.kept) > MAX_CLIENTS:
            self.kept.popitem(last=False)

    def take(self, model: str, claim: Claim, now: float) -> float:
        """Give the client its best place for the model back; return when it arrived, which is now without a place."""
        places = self.kept.get((claim.client, model))
        if places is None:
            return now
        valid = [place for place in places if place.until > now]
        best = min(valid, key=lambda place: place.arrived, default=None)
        if best is not None:
            valid.remove(best)
        if valid:
            self.kept[claim.client, model] = deque(valid, maxlen=MAX_PLACES)
        else:
            del self.kept[claim.client, model]
        return now if best is None else best.arrived

    def kept_until(self, model: str, now: float) -> float | None:
        """Until when a place for the model is kept, None if none is."""
        ends = (
            place.until
            for (_, kept_model), places in self.kept.items()
            if kept_model == model
            for place in places
            if place.until > now
        )
        return max(ends, default=None)

    def copy(self) -> Places:
        """An independent copy. Places never change."""
        kept = ((key, places.copy()) for key, places in self.kept.items())
        return Places(self.seconds, OrderedDict(kept))

    def snapshot(self) -> list[PlaceSnapshot]:
        """All kept places, to hand over."""
        return [
            PlaceSnapshot(client, model, place)
            for (client, model), places in self.kept.items()
            for place in places
        ]

    def restore(self, snapshots: Iterable[PlaceSnapshot]) -> None:
        """Keep the places that another sparkd has handed over."""
        for each in snapshots:
            key = each.client, each.model
            self.kept.setdefault(key, deque(maxlen=MAX_PLACES)).append(each.place)

    def _forget_expired(self, now: float) -> None:
        """Forget the clients whose last place has expired: those that left first are first."""
        while self.kept and next(iter(self.kept.values()))[-1].until <= now:
            self.kept.popitem(last=False)

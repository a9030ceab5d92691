"""Which result belongs to which tool call, and the ids of both."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable

from msgspec import Struct

_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_SHORT_LENGTH = 9


class Event(Struct, frozen=True):
    """A tool call or a result: part `part` of turn `turn`. `id` is None if the client gave none."""

    turn: int
    part: int
    id: str | None
    is_result: bool


Place = tuple[int, int]
"""The turn and the part of an event."""


class Pairing(Struct, frozen=True):
    """The id of each call and of each result that belongs to one, the other results, and the calls without one."""

    ids: dict[Place, str]
    orphans: frozenset[Place]
    unanswered: tuple[Event, ...]


Separates = Callable[[Event, Event], bool]
"""Whether something else is between a call and a result."""


def pair_calls(events: Iterable[Event], *, short: bool, separates: Separates | None = None) -> Pairing:
    """Pair calls with results: a result belongs to the first earlier call of its id that has none.

    With `separates`, a result that it separates from its call has no call, so that the call has no result.

    A result without an id belongs to the first call that has no result. Of calls with one id, each after the
    first gets an id of its own. `short`: ids become nine letters or digits.
    """
    ids: dict[Place, str] = {}
    orphans: set[Place] = set()
    unanswered: dict[str | None, deque[Event]] = {}
    separated: list[Event] = []
    unique = _UniqueIds()
    for event in events:
        place = event.turn, event.part
        if not event.is_result:
            id_ = unique.choose(event.id)
            ids[place] = shorten_id(id_) if short else id_
            unanswered.setdefault(event.id, deque()).append(event)
            continue
        call = _take_call(unanswered, event.id)
        if call is not None and separates is not None and separates(call, event):
            separated.append(call)
            call = None
        if call is None:
            orphans.add(place)
        else:
            ids[place] = ids[call.turn, call.part]
    rest = sorted(
        [*separated, *(event for events in unanswered.values() for event in events)],
        key=lambda event: (event.turn, event.part),
    )
    return Pairing(ids, frozenset(orphans), tuple(rest))


def shorten_id(id_: str) -> str:
    """Nine letters or digits: the same for the same id."""
    if len(id_) == _SHORT_LENGTH and id_.isascii() and id_.isalnum():
        return id_
    number = int.from_bytes(hashlib.sha256(id_.encode("utf-8", "replace")).digest()[:8], "big")
    digits = []
    for _ in range(_SHORT_LENGTH):
        number, digit = divmod(number, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "".join(digits)


class _UniqueIds:
    """Ids of calls, each of them different. It remembers where it stopped to count: thousands may have the same id."""

    def __init__(self) -> None:
        self._used: set[str] = set()
        self._numbers: dict[str, int] = {}

    def choose(self, id_: str | None) -> str:
        """The id of the next call: the client's, with a number if an earlier call has it."""
        base = id_ or f"call_{len(self._used)}"
        chosen, number = base, self._numbers.get(base, 1)
        while chosen in self._used:
            number += 1
            chosen = f"{base}_{number}"
        self._numbers[base] = number
        self._used.add(chosen)
        return chosen


def _take_call(unanswered: dict[str | None, deque[Event]], id_: str | None) -> Event | None:
    """The first call of that id, or without one the first call of all. `unanswered` has no empty queues."""
    key = id_ if id_ in unanswered or id_ is not None else next(iter(unanswered), None)
    calls = unanswered.get(key)
    if calls is None:
        return None
    call = calls.popleft()
    if not calls:
        del unanswered[key]
    return call

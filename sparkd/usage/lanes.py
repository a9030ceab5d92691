"""From state changes to lanes: which state each model was in, and when that is not known. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from msgspec import Struct

from sparkd.usage.records import StateChange
from sparkd.usage.results import Lane, SessionSpan, Span

STOPPED: Final = "stopped"
REMOVED: Final = "removed"
UNKNOWN: Final = "unknown"


class KnownTime(Struct, frozen=True):
    """A time in which one or several programs in a row ran as sparkd, and engines outlived each replacement.

    `kept` has the time of each replacement, and the models whose engines continued.
    """

    began: float
    ended: float
    kept: tuple[tuple[float, frozenset[str]], ...] = ()


def find_known_times(
    sessions: Sequence[SessionSpan], kept: Sequence[frozenset[str] | None]
) -> list[KnownTime]:
    """Join sessions, oldest first. `kept` has the models that each took over, None if it replaced none."""
    known: list[KnownTime] = []
    for session, models in zip(sessions, kept, strict=True):
        if models is not None and known:
            last = known[-1]
            known[-1] = KnownTime(last.began, session.ended, (*last.kept, (session.began, models)))
        else:
            known.append(KnownTime(session.began, session.ended))
    return known


def build_lanes(
    changes: Mapping[str, Sequence[StateChange]], known: Sequence[KnownTime], since: float, until: float
) -> list[Lane]:
    """Build the lanes of the models that were not just stopped between `since` and `until`.

    `changes` has each model's changes, oldest first, from the last one before `since`. The lane of the model that was
    loaded first is first.
    """
    lanes = [Lane(model, build_spans(model, each, known, since, until)) for model, each in changes.items()]
    busy = [lane for lane in lanes if any(span.state not in (STOPPED, UNKNOWN) for span in lane.spans)]
    return sorted(busy, key=_first_activity)


def build_spans(
    model: str, changes: Sequence[StateChange], known: Sequence[KnownTime], since: float, until: float
) -> list[Span]:
    """Build one model's spans from `since` to `until`, without gaps."""
    spans: list[Span] = []
    end = since
    for time in known:
        if time.ended <= since or time.began >= until:
            continue
        begin = max(time.began, since)
        if begin > end:
            spans.append(Span(state=UNKNOWN, began=end, ended=begin))
        spans += _build_known_spans(model, changes, time, begin, min(time.ended, until))
        end = min(time.ended, until)
    if end < until:
        spans.append(Span(state=UNKNOWN, began=end, ended=until))
    return spans


def _build_known_spans(
    model: str, changes: Sequence[StateChange], time: KnownTime, since: float, until: float
) -> list[Span]:
    """The spans within one known time, at whose begin the model is stopped."""
    events = [change for change in changes if time.began <= change.at < until]
    for at, kept in time.kept:
        if model not in kept and at < until:  # its engine has ended with the program that was replaced
            events.append(StateChange(at=at, model=model, run=0, state=STOPPED, after=0.0))
    events.sort(key=lambda change: change.at)
    spans: list[Span] = []
    current, began = StateChange(at=since, model=model, run=0, state=STOPPED, after=0.0), since
    for change in events:
        if change.state == current.state == STOPPED:
            continue
        if change.at > began:
            spans.append(_span_of(current, began, change.at))
        current, began = change, max(change.at, since)
    if until > began:
        spans.append(_span_of(current, began, until))
    return spans


def _span_of(change: StateChange, began: float, ended: float) -> Span:
    return Span(
        state=change.state,
        began=began,
        ended=ended,
        run=change.run,
        stop_reason=change.stop_reason,
        text=change.text,
        evicted_for=change.evicted_for,
    )


def _first_activity(lane: Lane) -> tuple[float, str]:
    return min(_active_times(lane.spans), default=0.0), lane.model


def _active_times(spans: Iterable[Span]) -> Iterable[float]:
    return (span.began for span in spans if span.state not in (STOPPED, UNKNOWN))

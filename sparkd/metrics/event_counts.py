"""Counts what happens: finished requests, changes of models' states, quarantines, failed scrapes.

It is fed in batches, on the event loop, and costs the request path nothing. Numbers begin at 0 with each program:
Prometheus's rate() and increase() bear that.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from typing import Final, get_args

from sparkd.metrics import families
from sparkd.metrics.families import Family, Histogram, Labels, Rows
from sparkd.usage.records import OTHER, Phase, RequestRecord, StateChange

MAX_ROWS: Final = 2000
"""Combinations of labels of a counter; more are counted together, with all labels `other`."""

MAX_HISTOGRAM_ROWS: Final = 300
"""The same for a histogram, which has some 20 lines for each."""

_IN_USE: Final = frozenset({"starting", "ready"})
_ENDING: Final = frozenset({"draining", "stopping", "backoff"})
"""States before and after the decision that a model leaves the memory."""


class Counter:
    """Sums by the values of labels."""

    def __init__(self, family: Family) -> None:
        self._family = family
        self._sums: dict[Labels, float] = {}

    def add(self, *labels: str, amount: float = 1.0) -> None:
        """Add an amount that is not negative."""
        if labels not in self._sums and len(self._sums) >= MAX_ROWS:
            labels = (OTHER,) * len(labels)
        self._sums[labels] = self._sums.get(labels, 0.0) + amount

    def rows(self) -> Rows:
        """A copy of the sums."""
        return Rows(self._family, list(self._sums.items()))


class HistogramCounts:
    """Observations by the values of labels."""

    def __init__(self, family: Family) -> None:
        self._family = family
        self._counts: dict[Labels, list[int]] = {}
        self._sums: dict[Labels, float] = {}

    def observe(self, *labels: str, value: float) -> None:
        """Count an observation. A negative one, after a step of the clock, counts as 0."""
        counts = self._counts.get(labels)
        if counts is None and len(self._counts) >= MAX_HISTOGRAM_ROWS:
            labels = (OTHER,) * len(labels)
            counts = self._counts.get(labels)
        if counts is None:
            counts = self._counts[labels] = [0] * (len(self._family.buckets) + 1)
            self._sums[labels] = 0.0
        counts[bisect_left(self._family.buckets, value)] += 1
        self._sums[labels] += max(0.0, value)

    def rows(self) -> Rows:
        """A copy of the counts."""
        return Rows(
            self._family,
            [
                (labels, Histogram(tuple(counts), self._sums[labels]))
                for labels, counts in self._counts.items()
            ],
        )


class EventCounts:
    """All counters and histograms of one daemon.

    `has_model` says whether the catalogue has a model: only those have rows of their own. `last_used` is when the last
    request for a model ended, in seconds since the epoch.
    """

    def __init__(self, has_model: Callable[[str], bool]) -> None:
        self._has_model = has_model
        self._states: dict[str, str] = {}
        self._quarantined: frozenset[str] = frozenset()
        self.last_used: dict[str, float] = {}
        self._requests = Counter(families.REQUESTS)
        self._tokens = Counter(families.TOKENS)
        self._phases = Counter(families.PHASES)
        self._refusals = Counter(families.REFUSALS)
        self._rewrites = Counter(families.REWRITES)
        self._heartbeats = Counter(families.HEARTBEATS)
        self._gone = Counter(families.CLIENT_GONE)
        self._stops = Counter(families.STOPS)
        self._guard = Counter(families.GUARD_ACTIONS)
        self._quarantines = Counter(families.QUARANTINES)
        self._scrape_errors = Counter(families.SCRAPE_ERRORS)
        self._duration = HistogramCounts(families.DURATION)
        self._first_token = HistogramCounts(families.FIRST_TOKEN)
        self._per_token = HistogramCounts(families.PER_TOKEN)
        self._queue_wait = HistogramCounts(families.QUEUE_WAIT)
        self._load = HistogramCounts(families.LOAD)
        # Prometheus's increase() misses the first event of a series that begins with it.
        self._guard.add("kill", amount=0.0)
        for phase in get_args(Phase):
            self._gone.add(phase, amount=0.0)

    def on_requests(self, records: Sequence[RequestRecord]) -> None:
        """Count requests that have ended."""
        for record in records:
            model = self._name(record.model)
            self._requests.add(model, record.client, record.endpoint, str(record.status))
            self._count_times(record, model)
            self._count_tokens(record, model)
            self._count_details(record)
            if model != OTHER:
                self.last_used[model] = max(record.ended, self.last_used.get(model, 0.0))

    def _count_times(self, record: RequestRecord, model: str) -> None:
        self._duration.observe(model, record.endpoint, value=record.seconds)
        waited = record.queue_seconds + record.load_seconds
        if model != OTHER:
            self._queue_wait.observe(model, value=waited)
        for phase, seconds in (("queued", record.queue_seconds), ("loading", record.load_seconds)):
            if seconds > 0:
                self._phases.add(model, phase, amount=seconds)
        first, output = record.first_token_seconds, record.output_seconds
        if first is None or output is None:
            self._phases.add(model, "answering", amount=max(0.0, record.seconds - waited))
            return
        self._first_token.observe(model, record.endpoint, value=first)
        self._phases.add(model, "prefill", amount=max(0.0, first - waited))
        self._phases.add(model, "decoding", amount=max(0.0, output))
        if record.tokens_out is not None and record.tokens_out > 1:
            self._per_token.observe(model, record.endpoint, value=output / (record.tokens_out - 1))

    def _count_tokens(self, record: RequestRecord, model: str) -> None:
        for kind, tokens in (
            ("input", record.tokens_in),
            ("cached", record.tokens_cached),
            ("output", record.tokens_out),
        ):
            if tokens is not None:
                self._tokens.add(model, record.client, kind, amount=tokens)

    def _count_details(self, record: RequestRecord) -> None:
        if record.code:
            self._refusals.add(record.code)
        for rule in record.rewrites:
            self._rewrites.add(rule)
        if record.heartbeats:
            self._heartbeats.add(record.endpoint, amount=record.heartbeats)
        if record.gone is not None:
            self._gone.add(record.gone)

    def on_state_changes(self, changes: Sequence[StateChange]) -> None:
        """Count loads and stops. The reason of a stop may be repeated in the changes that follow; it counts once."""
        for change in changes:
            before, model = self._states.get(change.model), self._name(change.model)
            if change.state in ("stopped", "removed"):
                self._states.pop(change.model, None)
            else:
                self._states[change.model] = change.state
            if (outcome := _outcome(before, change.state)) is not None:
                self._load.observe(model, outcome, value=change.after)
            # The state before is unknown for a model that this program took over.
            is_end = before in _IN_USE or (before is None and change.state in _ENDING)
            if is_end and change.stop_reason is not None:
                self._stops.add(model, change.stop_reason)
                if change.stop_reason == "guard":
                    self._guard.add("kill")

    def on_quarantined(self, models: Iterable[str], *, is_start: bool = False) -> None:
        """Count those of the models in quarantine that were not in it before. `is_start`: an earlier program counted
        them."""
        now = frozenset(models)
        if not is_start:
            for model in now - self._quarantined:
                self._quarantines.add(self._name(model))
        self._quarantined = now

    def count_scrape(self, model: str, *, is_error: bool) -> None:
        """Count an engine that was asked for its metrics. `is_error`: they, or a part of them, could not be read."""
        self._scrape_errors.add(self._name(model), amount=float(is_error))

    def rows(self) -> list[Rows]:
        """A copy of everything."""
        return [each.rows() for each in vars(self).values() if isinstance(each, (Counter, HistogramCounts))]

    def _name(self, model: str) -> str:
        return model if self._has_model(model) else OTHER


def _outcome(before: str | None, state: str) -> str | None:
    """How a load ended with this change. None if none did."""
    if state == "ready":
        return "ready"
    if before != "starting":
        return None
    return {"backoff": "failed", "stopping": "cancelled"}.get(state)

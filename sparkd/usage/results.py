"""What reading returns: pages of requests, sums of usage, and the lanes of models. Times: seconds since the epoch."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct, field

from sparkd.usage.records import Occurrence, RequestRecord, StopReason


class RequestPage(Struct, frozen=True, kw_only=True):
    """Finished requests in the order of the query.

    `next` is the value of `before` for the next page, None on the last one. `latest` is the number of the newest
    recorded request: `after=<latest>` returns those that end later. `matching` is how many requests match the
    filter, None except on the first page; `kept` is how many are kept.
    """

    requests: list[RequestRecord]
    next: str | None
    latest: int
    matching: int | None
    kept: int


class UsageSums(Struct, frozen=True, kw_only=True):
    """Sums over requests. `counted` of them have known token counts; without one, tokens are None: unknown.

    `failed` requests have a status from 400, without the `disconnected` ones, whose client left (499). `busy_seconds`
    is the sum of the times in which engines worked on them. `first_token_seconds` is the mean time to the first token,
    and `tokens_per_second` the mean speed of output. Both are None if no request shows them.
    """

    requests: int
    failed: int
    disconnected: int
    counted: int
    tokens_in: int | None
    tokens_cached: int | None
    tokens_out: int | None
    busy_seconds: float
    first_token_seconds: float | None
    tokens_per_second: float | None


class UsageRow(UsageSums, frozen=True, kw_only=True):
    """The sums of a `period`, such as "2026-11-28" or "2026-11", and of the models, clients and programs that the
    query groups by; the others are None."""

    period: str
    model: str | None = None
    client: str | None = None
    program: str | None = None


class UsageReport(Struct, frozen=True, kw_only=True):
    """Usage by local day or month, newest period first, and the sums of all rows. `truncated`: there were too many
    rows; the oldest are missing, but not in `total`."""

    by: Literal["day", "month"]
    group: tuple[str, ...]
    rows: list[UsageRow]
    total: UsageSums
    truncated: bool = False


class Span(Struct, frozen=True, kw_only=True):
    """A model was in `state` from `began` to `ended`; "unknown" while no sparkd ran. The last one has not ended: its
    `ended` is the end of the period. The other fields are those of the StateChange that began it, and for "ready" and
    "draining": `in_use`, the seconds in which its engine worked on requests, and `use_unknown`, the times for which
    that is not known. `in_use` is None if it is known for no part, and in other states."""

    state: str
    began: float
    ended: float
    run: int = 0
    stop_reason: StopReason | None = None
    text: str = ""
    evicted_for: str = ""
    in_use: float | None = None
    use_unknown: list[tuple[float, float]] = []


class Lane(Struct, frozen=True):
    """One model's states, without gaps, and when it was `in_use`, from the first time to the second. Pauses of less
    than a 600th of the period are left out."""

    model: str
    spans: list[Span]
    in_use: list[tuple[float, float]] = []


class SessionSpan(Struct, frozen=True, kw_only=True):
    """One program that ran as sparkd. `end` is what ended it: "running", "stopped", "replaced", or "killed" for a
    crash, a kill or a power failure; then `ended` is when it was last seen."""

    began: float
    ended: float
    version: str
    end: Literal["running", "stopped", "replaced", "killed"]


class History(Struct, frozen=True, kw_only=True):
    """The models that were not just stopped in a period, what else happened, and when sparkd ran. `truncated`: there
    were too many state changes, so `since` is later than requested."""

    since: float
    until: float
    lanes: list[Lane]
    occurrences: list[Occurrence]
    sessions: list[SessionSpan]
    truncated: bool = False


class DaySummary(Struct, frozen=True, kw_only=True):
    """What happened to models on a local day.

    `swaps` are evictions because another model needed the memory; `crashes` are engines that failed after they were
    ready, `failed_loads` those that never were.
    """

    day: str
    loads: int
    failed_loads: int
    swaps: int
    crashes: int
    guard: int


class LoadSummary(Struct, frozen=True, kw_only=True):
    """The loads of a model in a period. `median_seconds` is None if none has succeeded."""

    model: str
    loads: int
    failed: int
    median_seconds: float | None
    last: float | None


class HistorySummary(Struct, frozen=True, kw_only=True):
    """Sums of a period, newest day first; days without events are left out."""

    since: float
    until: float
    days: list[DaySummary]
    models: list[LoadSummary]
    guard_events: list[Occurrence] = field(default_factory=list)


class ModelHistory(Struct, frozen=True, kw_only=True):
    """One model: its states in the period, what else happened to it, its loads, and when it was in use (see Lane)."""

    model: str
    since: float
    until: float
    spans: list[Span]
    occurrences: list[Occurrence]
    loads: LoadSummary
    truncated: bool = False
    in_use: list[tuple[float, float]] = []

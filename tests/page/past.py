"""What a sparkd finds in its database: requests, loads and measurements of the last days."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sparkd.catalog.settings import Usage
from sparkd.usage.records import Measurement, Occurrence, RequestRecord, StateChange
from sparkd.usage.store import UsageStore

HOUR = 3600.0
DAY = 24 * HOUR


def make_request(number: int, ago: float, **fields: Any) -> RequestRecord:
    """A request that ended `ago` seconds ago."""
    values: dict[str, Any] = {
        "ended": time.time() - ago, "id": f"past-{number}", "model": "small", "asked": "small", "client": "laptop",
        "program": "opencode", "endpoint": "/v1/chat/completions", "status": 200, "streamed": True,
        "queue_seconds": 2.0, "load_seconds": 60.0, "first_token_seconds": 63.5, "seconds": 83.5,
        "tokens_in": 1000, "tokens_cached": 400, "tokens_out": 600, "rewrites": ("preset", "cap-tokens"),
    }  # fmt: skip
    return RequestRecord(**(values | fields))


def make_load(model: str, ago: float, length: float = HOUR, **end: Any) -> list[StateChange]:
    """A load `ago` seconds ago of a model that is then ready for `length` seconds, and leaves. `end`: why."""
    began = time.time() - ago
    values: dict[str, Any] = {"stop_reason": "idle", **end}
    steps: list[tuple[float, float, str, dict[str, Any]]] = [
        (0.0, 0.0, "starting", {}),
        (60.0, 60.0, "ready", {}),
        (60.0 + length, length, "stopping", values),
        (65.0 + length, 5.0, "stopped", values),
    ]
    return [
        StateChange(at=began + at, model=model, run=1, state=state, after=after, **fields)
        for at, after, state, fields in steps
    ]


def write_past(
    folder: Path,
    *,
    requests: Iterable[RequestRecord] = (),
    changes: Iterable[StateChange] = (),
    occurrences: Iterable[Occurrence] = (),
    measurements: Iterable[Measurement] = (),
    began: float = 31 * DAY,
) -> None:
    """Write the database of a sparkd that ran in `folder` from `began` seconds ago until now."""
    (folder / "state").mkdir(exist_ok=True)
    store = UsageStore(folder / "state" / "usage.sqlite", Usage, "0.0.1")
    store.session.began = time.time() - began
    store.add_requests(requests)
    for change in sorted(changes, key=lambda each: each.at):
        store.add_change(change)
    for occurrence in occurrences:
        store.add_occurrence(occurrence)
    store.add_measurements(list(measurements))
    store.start(None)
    store.close()

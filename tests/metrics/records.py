"""Records of requests and changes of states, with values for what a test does not care about."""

from __future__ import annotations

from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from sparkd.metrics.families import Histogram, Labels, Rows
from sparkd.usage.records import RequestRecord, StateChange

CHAT = "/v1/chat/completions"


def record(**fields: Any) -> RequestRecord:
    """A streamed chat of the client `laptop` with the model `m`, which was ready."""
    given: dict[str, Any] = {
        "ended": 1000.0,
        "id": "r-1",
        "model": "m",
        "asked": "m",
        "client": "laptop",
        "endpoint": CHAT,
        "status": 200,
        "streamed": True,
        "first_token_seconds": 0.25,
        "seconds": 1.25,
        "tokens_in": 100,
        "tokens_cached": 60,
        "tokens_out": 11,
    }
    return RequestRecord(**(given | fields))


def change(state: str, after: float = 0.0, **fields: Any) -> StateChange:
    """A change of the model `m`."""
    given: dict[str, Any] = {"at": 1000.0, "model": "m", "run": 1, "state": state, "after": after}
    return StateChange(**(given | fields))


def values(rows: list[Rows], name: str) -> dict[Labels, float | Histogram]:
    """The values of a family."""
    return dict(next(each.values for each in rows if each.family.name == name))


def samples(text: str) -> dict[str, float]:
    """The samples of a text by name and labels, as prometheus_client reads it: `name{label="value"}`."""
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found

"""The whole daemon in one line, for `systemctl status`."""

from __future__ import annotations

from sparkd.catalog.quantities import GIB
from sparkd.scheduling.status import ModelStatus, Status


def format_headline(status: Status, *, stopping: bool) -> str:
    """Such as “ready · gpt-oss-20b resident, 2 in flight · 61 GiB free”; free is the rest of the budget."""
    free = (status.memory.budget - status.memory.reserved) / GIB
    parts = ["stopping" if stopping else "ready"]
    parts += [_format_model(model) for model in status.models if model.state != "stopped"] or [
        "nothing resident"
    ]
    parts.append(f"{free:.0f} GiB free")
    return " · ".join(parts)


def _format_model(model: ModelStatus) -> str:
    parts = [f"{model.id} {_format_state(model)}"]
    if model.in_flight:
        parts.append(f"{model.in_flight} in flight")
    if model.waiting:
        parts.append(f"{model.waiting} waiting")
    return ", ".join(parts)


def _format_state(model: ModelStatus) -> str:
    if model.quarantined:
        return "quarantined"
    if model.state == "ready":
        return "resident"
    return "failed" if model.state == "backoff" else model.state

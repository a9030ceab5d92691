"""`GET /status` as what the screens show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sparkd.cli.screen.view import RequestRow, View, WaitingRow, estimate_system_memory
from sparkd.scheduling.forecast_text import describe_forecast
from sparkd.scheduling.status import ModelStatus, Status


def build_view(status: Status, requests: Sequence[RequestRow] | None = None) -> View:
    """What the status says. The machine's name and its GPU are unknown."""
    return View(
        version=status.version,
        uptime=status.uptime,
        memory=status.memory,
        models=status.models,
        state="replacing itself" if status.replacing else "serving",
        system=estimate_system_memory(status.memory, iter(status.models)),
        notices=tuple(find_notices(status)),
        waiting=status.queue.waiting,
        max_length=status.queue.max_length,
        on_busy=status.queue.on_busy,
        queue=tuple(_list_waiting(status.models)),
        requests=None if requests is None else tuple(requests),
        requests_total=len(requests or ()),
    )


def find_notices(status: Status) -> Iterator[str]:
    """What the owner should know."""
    if status.exposed:
        yield status.describe_exposure()
    for model in status.models:
        if model.state == "backoff" and model.cause:
            yield f"{model.id}: {model.cause}"


def _list_waiting(models: Sequence[ModelStatus]) -> Iterator[WaitingRow]:
    waiting = [model for model in models if model.waiting]
    waiting.sort(key=lambda model: (model.forecast.position or 0) if model.forecast else 1_000_000)
    for model in waiting:
        yield WaitingRow(
            model=model.id,
            text=describe_forecast(model.forecast) if model.forecast else "",
            count=model.waiting,
            position=model.forecast.position if model.forecast else None,
        )

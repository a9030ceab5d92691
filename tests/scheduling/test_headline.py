"""The line that `systemctl status` shows."""

from __future__ import annotations

from sparkd.catalog.quantities import GIB
from sparkd.scheduling.headline import format_headline
from sparkd.scheduling.status import MemoryStatus, ModelStatus, QueueStatus, Status


def describe(*models: ModelStatus, reserved: int = 0, stopping: bool = False) -> str:
    status = Status(
        version="1",
        pid=1,
        uptime=1.0,
        listen=(),
        memory=MemoryStatus(total=120 * GIB, reserve=20 * GIB, budget=100 * GIB, reserved=reserved),
        queue=QueueStatus(waiting=0, max_length=1, on_busy="wait"),
        models=models,
    )
    return format_headline(status, stopping=stopping)


def test_an_idle_daemon_says_so() -> None:
    assert describe(ModelStatus(id="a", state="stopped")) == "ready · nothing resident · 100 GiB free"


def test_it_names_what_is_resident_and_how_busy_it_is() -> None:
    models = (
        ModelStatus(id="gpt", state="ready", in_flight=2),
        ModelStatus(id="b", state="starting", waiting=1),
    )
    line = describe(*models, reserved=39 * GIB)
    assert line == "ready · gpt resident, 2 in flight · b starting, 1 waiting · 61 GiB free"


def test_it_shows_failures_and_stopping() -> None:
    models = ModelStatus(id="a", state="backoff"), ModelStatus(id="b", state="backoff", quarantined=True)
    line = describe(*models, stopping=True)
    assert line == "stopping · a failed · b quarantined · 100 GiB free"

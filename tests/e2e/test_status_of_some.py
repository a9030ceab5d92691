"""The status of some models says the same as that of all."""

from __future__ import annotations

from msgspec import structs

from sparkd.control.client import ControlClient
from sparkd.scheduling.status import ModelStatus
from tests.e2e.conftest import Build
from tests.e2e.sparkd_process import engine


def test_one_model_has_the_status_that_it_has_among_all(build: Build) -> None:
    sparkd = build({"used": engine(), "unused": engine()})
    assert without_times(sparkd.model("used")).state == "stopped"
    assert sparkd.chat("used").status_code == 200
    with ControlClient(sparkd.folder / "run" / "control.sock") as control:
        for name in ("used", "unused"):
            one = control.model(name)
            assert without_times(one) == without_times(sparkd.model(name))
        assert control.model("used").state == "ready"
        assert control.model("unused").state_seconds > 0


def without_times(status: ModelStatus) -> ModelStatus:
    return structs.replace(
        status,
        state_seconds=0.0,
        idle_seconds_left=None,
        memory_used=None,
        host_memory=None,
        host_memory_peak=None,
    )

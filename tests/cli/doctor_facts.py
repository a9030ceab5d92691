"""Facts of a machine where all is well, for the checks of `sparkctl doctor`, and what one of them finds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from sparkd.catalog.quantities import GIB
from sparkd.cli.doctor.facts import (
    CatalogueFacts,
    Delegation,
    Facts,
    Finding,
    Findings,
    ModelNeeds,
    PortState,
    Readiness,
    UnitState,
)
from sparkd.hub.files import SourceOnDisk
from sparkd.machine.memory import Memory
from sparkd.machine.nvml import Gpu
from sparkd.scheduling.status import MemoryStatus, ModelStatus, QueueStatus, Status

STATUS = Status(
    version="1.2.3",
    pid=42,
    uptime=7500.0,
    listen=("127.0.0.1:8009",),
    memory=MemoryStatus(total=128 * GIB, reserve=8 * GIB, budget=120 * GIB, reserved=0, floor=5 * GIB),
    queue=QueueStatus(waiting=0, max_length=1024, on_busy="wait"),
    models=(ModelStatus(id="qwen", state="stopped"),),
)
SPARK = Memory("unified", 128 * GIB, 100 * GIB, 128 * GIB, 100 * GIB, 60 * GIB)
READY = Readiness(
    (ModelNeeds("qwen", "cpu", (SourceOnDisk(source="org/qwen", state="complete"),)),), {"cpu": True}
)
INSTALLED = CatalogueFacts(enabled=1, ports=(PortState("127.0.0.1:8009"),), readiness=READY)
UNITS = {
    "sparkd.socket": UnitState("enabled", "active"),
    "sparkd-control.socket": UnitState("enabled", "active"),
    "sparkd.service": UnitState("indirect", "inactive"),
}
HEALTHY = Facts(
    path=Path("/etc/sparkd/models.toml"),
    catalogue=INSTALLED,
    daemon="running",
    status=STATUS,
    units=UNITS,
    delegation=Delegation("sparkd.service", delegated=True),
    gpu=Gpu("NVIDIA GB10", None, None),
    memory=SPARK,
    floor=5 * GIB,
    version="1.2.3",
)


def find_one(check: Callable[[Facts], Findings], facts: Facts) -> Finding:
    """The only thing that a check finds."""
    (finding,) = check(facts)
    return finding


def check_with(check: Callable[[Facts], Findings], **changed: Any) -> tuple[str, str, str]:
    """Level, finding and fix of a check where all is well but for this."""
    finding = find_one(check, replace(HEALTHY, **changed))
    return finding.level, finding.message, finding.fix or ""


def with_status(**changed: Any) -> Status:
    return msgspec.structs.replace(STATUS, **changed)

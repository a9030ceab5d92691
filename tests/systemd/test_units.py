"""What systemd itself thinks of the units."""

from __future__ import annotations

import re

from tests.systemd.installed import SERVICE, Installed

UNITS = (SERVICE, "sparkd.socket", "sparkd-control.socket", "sparkd.slice")
MOST_EXPOSED = 2.0


def test_every_unit_is_right(machine: Installed) -> None:
    told = machine.lab.run("systemd-analyze", "verify", *UNITS)
    assert told.stdout + told.stderr == ""


def test_the_service_is_hardly_exposed(machine: Installed) -> None:
    told = machine.lab.run("systemd-analyze", "security", "--no-pager", SERVICE).stdout
    exposure = re.search(r"Overall exposure level for sparkd.service: ([0-9.]+)", told)
    assert exposure
    print(f"exposure of {SERVICE}: {exposure[1]}")
    assert float(exposure[1]) <= MOST_EXPOSED, told


def test_the_system_keeps_memory_that_engines_cannot_push_out(machine: Installed) -> None:
    gib = 1024**3
    for unit in ("system.slice", "user.slice"):
        assert machine.lab.show(unit, "MemoryMin", "MemoryLow") == {
            "MemoryMin": str(2 * gib),
            "MemoryLow": str(3 * gib),
        }
    told = machine.lab.show(SERVICE, "Slice", "OOMPolicy", "OOMScoreAdjust")
    assert told == {"Slice": "sparkd.slice", "OOMPolicy": "continue", "OOMScoreAdjust": "-900"}


def test_however_often_it_fails_the_sockets_stay_open(sparkd: Installed) -> None:
    with sparkd.override("ExecStart=\nExecStart=/bin/false\nRestartSec=50ms"):
        sparkd.lab.run("systemctl", "start", SERVICE, check=False)
        sparkd.lab.until(
            "it has failed more often than systemd's own limit allows",
            lambda: int(sparkd.lab.show(SERVICE, "NRestarts")["NRestarts"]) > 8,
        )
        assert sparkd.lab.show("sparkd.socket", "ActiveState")["ActiveState"] == "active"
    sparkd.fresh()
    assert sparkd.chat("a")[0] == 200

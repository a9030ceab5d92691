"""systemd's own checks of the units."""

from __future__ import annotations

import re

from tests.systemd.installation import SERVICE, Installation

SOCKETS = ("sparkd.socket", "sparkd-control.socket", "sparkd-writer.socket", "sparkd-ollama.socket")
UNITS = (SERVICE, *SOCKETS, "sparkd-writer@1.service", "sparkd.slice")
MOST_EXPOSED = 2.0


def test_every_unit_is_valid(machine: Installation) -> None:
    output = machine.lab.run("systemd-analyze", "verify", *UNITS)
    assert output.stdout + output.stderr == ""


def test_the_service_has_a_low_exposure(machine: Installation) -> None:
    output = machine.lab.run("systemd-analyze", "security", "--no-pager", SERVICE).stdout
    exposure = re.search(r"Overall exposure level for sparkd.service: ([0-9.]+)", output)
    assert exposure
    print(f"exposure of {SERVICE}: {exposure[1]}")
    assert float(exposure[1]) <= MOST_EXPOSED, output


def test_the_system_keeps_memory_that_engines_cannot_push_out(machine: Installation) -> None:
    gib = 1024**3
    for unit in ("system.slice", "user.slice"):
        assert machine.lab.show(unit, "MemoryMin", "MemoryLow") == {
            "MemoryMin": str(2 * gib),
            "MemoryLow": str(3 * gib),
        }
    output = machine.lab.show(SERVICE, "Slice", "OOMPolicy", "OOMScoreAdjust")
    assert output == {"Slice": "sparkd.slice", "OOMPolicy": "continue", "OOMScoreAdjust": "-900"}


def test_the_sockets_stay_open_no_matter_how_often_sparkd_fails(sparkd: Installation) -> None:
    with sparkd.override("ExecStart=\nExecStart=/bin/false\nRestartSec=50ms"):
        sparkd.lab.run("systemctl", "start", SERVICE, check=False)
        sparkd.lab.wait_until(
            "it has failed more often than systemd's own limit allows",
            lambda: int(sparkd.lab.show(SERVICE, "NRestarts")["NRestarts"]) > 8,
        )
        assert sparkd.lab.show("sparkd.socket", "ActiveState")["ActiveState"] == "active"
    sparkd.reset()
    assert sparkd.chat("a")[0] == 200

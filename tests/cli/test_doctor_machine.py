"""What `sparkctl doctor` makes of a machine: GPU, memory, swap, page cache, systemd."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from sparkd.catalog.quantities import GIB
from sparkd.cli import doctor_machine
from sparkd.cli.doctor_facts import Delegation, Unit
from sparkd.scheduling.status import GuardAction
from tests.cli.facts import SPARK, STATUS, UNITS, WELL, after, with_status


def test_leaked_memory_is_told_in_bytes_and_that_a_reboot_brings_it_back() -> None:
    leaking = with_status(memory=msgspec.structs.replace(STATUS.memory, leaked=3 * GIB))
    level, found, mend = after(doctor_machine.leaks, status=leaking)
    assert level == "warning"
    assert found.startswith(f"3.0 GiB ({3 * GIB} bytes) ")
    assert mend == "`sudo reboot` brings it back"


def test_a_machine_without_a_driver_is_told_that_models_run_on_the_cpu_only() -> None:
    level, found, _ = after(doctor_machine.gpu, gpu=None)
    assert (level, found) == ("warning", "there is no NVIDIA driver: models run on the CPU only")
    assert after(doctor_machine.gpu, gpu=None, driver=True)[2] == "`nvidia-smi` tells why"


@pytest.mark.parametrize(("available", "level"), [(4, "wrong"), (5, "warning"), (10, "ok")])
def test_what_is_available_is_judged_by_the_floor(available: int, level: str) -> None:
    memory = replace(SPARK, available=available * GIB)
    assert after(doctor_machine.memory, memory=memory)[0] == level


def test_memory_is_told_with_its_kind() -> None:
    assert after(doctor_machine.memory)[1] == (
        "unified (CPU and GPU share it), 128.0 GiB in all, 100.0 GiB available, floor 5.0 GiB"
    )
    assert after(doctor_machine.memory, memory=None, probe_says="no file")[0] == "wrong"


def test_swap_in_use_is_a_warning_from_a_quarter_gib_on() -> None:
    assert after(doctor_machine.swap, swapped=GIB // 4 - 1)[0] == "ok"
    level, _, mend = after(doctor_machine.swap, swapped=GIB // 4)
    assert level == "warning"
    assert "swapoff" in mend


def test_page_cache_is_a_warning_where_little_is_free_and_much_available_on_unified_memory_alone() -> None:
    crowded = replace(SPARK, free=2 * GIB)
    assert after(doctor_machine.page_cache, memory=crowded)[0] == "warning"
    assert after(doctor_machine.page_cache, memory=replace(crowded, host_available=20 * GIB))[0] == "ok"
    assert list(doctor_machine.page_cache(replace(WELL, memory=replace(crowded, kind="separate")))) == []


def test_a_unit_whose_cgroup_is_not_delegated_is_named() -> None:
    level, found, mend = after(
        doctor_machine.delegation, delegation=Delegation("my.service", delegated=False)
    )
    assert level == "warning"
    assert "my.service" in found
    assert "Delegate=yes" in mend
    assert list(doctor_machine.delegation(replace(WELL, delegation=None))) == []


def test_units_that_lack_fail_or_do_not_start_with_the_machine_are_told() -> None:
    def units(**changed: Unit) -> tuple[str, str, str]:
        return after(doctor_machine.systemd, units=UNITS | {f"{k}.service": v for k, v in changed.items()})

    assert units()[0] == "ok"
    assert units(sparkd=Unit("indirect", "failed"))[::2] == (
        "wrong",
        "`journalctl -e -u sparkd.service` tells why",
    )
    assert units(sparkd=Unit("not-found", "inactive"))[:2] == (
        "wrong",
        "installed by half: there is no sparkd.service",
    )
    nothing = {name: Unit("", "inactive") for name in UNITS}
    assert after(doctor_machine.systemd, units=nothing)[0] == "warning"
    asleep = UNITS | {"sparkd.socket": Unit("disabled", "inactive")}
    assert after(doctor_machine.systemd, units=asleep)[2] == "`sudo systemctl enable --now sparkd.socket`"
    closed = UNITS | {"sparkd.socket": Unit("enabled", "inactive")}
    assert after(doctor_machine.systemd, units=closed)[2] == "`sudo systemctl start sparkd.socket`"
    assert list(doctor_machine.systemd(replace(WELL, units=None))) == []


def test_controllers_that_a_delegated_cgroup_has_not_are_named() -> None:
    ours = Delegation("sparkd.service", delegated=True, lacking=("cpu", "memory"))
    level, found, mend = after(doctor_machine.delegation, delegation=ours)
    assert (level, "without cpu, memory" in found) == ("warning", True)
    assert "EVENT=cgroups" in mend


def test_when_the_memory_guard_last_acted_is_told_and_worth_a_warning_for_a_day() -> None:
    def acted(ago: float) -> tuple[str, str, str]:
        memory = msgspec.structs.replace(STATUS.memory, guard_acted=GuardAction(model="qwen", ago=ago))
        return after(doctor_machine.guard, status=with_status(memory=memory))

    assert after(doctor_machine.guard)[:2] == ("ok", "it has never had to act")
    level, found, mend = acted(3 * 3600.0)
    assert (level, found) == ("warning", "the memory guard last acted 3 h ago on qwen")
    assert "`sparkctl status qwen`" in mend
    assert acted(86401.0)[:2] == ("ok", "the memory guard last acted 1 d ago on qwen")

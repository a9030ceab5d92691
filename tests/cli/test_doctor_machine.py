"""What `sparkctl doctor` makes of a machine: GPU, memory, swap, page cache, systemd."""

from __future__ import annotations

from dataclasses import replace

import pytest
from msgspec import structs

from sparkd.catalog.quantities import GIB
from sparkd.cli.doctor import machine_checks
from sparkd.cli.doctor.facts import Delegation, UnitState
from sparkd.scheduling.status import GuardAction
from tests.cli.doctor_facts import HEALTHY, SPARK, STATUS, UNITS, check_with, with_status


def test_leaked_memory_is_told_in_bytes_and_that_a_reboot_brings_it_back() -> None:
    leaking = with_status(memory=structs.replace(STATUS.memory, leaked=3 * GIB))
    level, found, fix = check_with(machine_checks.check_leaks, status=leaking)
    assert level == "warning"
    assert found.startswith(f"3.0 GiB ({3 * GIB} bytes) ")
    assert fix == "a reboot frees them: `sudo reboot`"


def test_a_machine_without_a_driver_is_told_that_models_run_on_the_cpu_only() -> None:
    level, found, _ = check_with(machine_checks.check_gpu, gpu=None)
    assert (level, found) == ("warning", "there is no NVIDIA driver, so models run on the CPU only")
    assert check_with(machine_checks.check_gpu, gpu=None, has_driver=True)[2] == "see `nvidia-smi`"


@pytest.mark.parametrize(("available", "level"), [(4, "error"), (5, "warning"), (10, "ok")])
def test_what_is_available_is_judged_by_the_floor(available: int, level: str) -> None:
    memory = structs.replace(SPARK, available=available * GIB)
    assert check_with(machine_checks.check_memory, memory=memory)[0] == level


def test_memory_is_told_with_its_kind() -> None:
    assert check_with(machine_checks.check_memory)[1] == (
        "unified (CPU and GPU share it), 128.0 GiB in all, 100.0 GiB available, floor 5.0 GiB"
    )
    assert check_with(machine_checks.check_memory, memory=None, probe_error="no file")[0] == "error"


def test_swap_in_use_is_a_warning_from_a_quarter_gib_on() -> None:
    assert check_with(machine_checks.check_swap, swap_used=GIB // 4 - 1)[0] == "ok"
    level, _, fix = check_with(machine_checks.check_swap, swap_used=GIB // 4)
    assert level == "warning"
    assert "swapoff" in fix


def test_page_cache_is_a_warning_where_little_is_free_and_much_available_on_unified_memory_alone() -> None:
    crowded = structs.replace(SPARK, free=2 * GIB)
    assert check_with(machine_checks.check_page_cache, memory=crowded)[0] == "warning"
    assert (
        check_with(machine_checks.check_page_cache, memory=structs.replace(crowded, host_available=20 * GIB))[
            0
        ]
        == "ok"
    )
    assert (
        list(
            machine_checks.check_page_cache(
                replace(HEALTHY, memory=structs.replace(crowded, kind="separate"))
            )
        )
        == []
    )


def test_a_unit_whose_cgroup_is_not_delegated_is_named() -> None:
    level, found, fix = check_with(
        machine_checks.check_delegation, delegation=Delegation("my.service", delegated=False)
    )
    assert level == "warning"
    assert "my.service" in found
    assert "Delegate=yes" in fix
    assert list(machine_checks.check_delegation(replace(HEALTHY, delegation=None))) == []


def test_units_that_lack_fail_or_do_not_start_with_the_machine_are_told() -> None:
    def units(**changed: UnitState) -> tuple[str, str, str]:
        return check_with(
            machine_checks.check_systemd, units=UNITS | {f"{k}.service": v for k, v in changed.items()}
        )

    assert units()[0] == "ok"
    assert units(sparkd=UnitState("indirect", "failed"))[::2] == (
        "error",
        "see `journalctl -e -u sparkd.service`",
    )
    assert units(sparkd=UnitState("not-found", "inactive"))[:2] == (
        "error",
        "the installation is incomplete: there is no sparkd.service",
    )
    nothing = {name: UnitState("", "inactive") for name in UNITS}
    assert check_with(machine_checks.check_systemd, units=nothing)[0] == "warning"
    asleep = UNITS | {"sparkd.socket": UnitState("disabled", "inactive")}
    assert (
        check_with(machine_checks.check_systemd, units=asleep)[2]
        == "run `sudo systemctl enable --now sparkd.socket`"
    )
    closed = UNITS | {"sparkd.socket": UnitState("enabled", "inactive")}
    assert (
        check_with(machine_checks.check_systemd, units=closed)[2]
        == "run `sudo systemctl start sparkd.socket`"
    )
    assert list(machine_checks.check_systemd(replace(HEALTHY, units=None))) == []


def test_controllers_that_a_delegated_cgroup_has_not_are_named() -> None:
    ours = Delegation("sparkd.service", delegated=True, missing_controllers=("cpu", "memory"))
    level, found, fix = check_with(machine_checks.check_delegation, delegation=ours)
    assert (level, "without cpu, memory" in found) == ("warning", True)
    assert "EVENT=cgroups" in fix


def test_when_the_memory_guard_last_acted_is_told_and_worth_a_warning_for_a_day() -> None:
    def check_guard_after(ago: float) -> tuple[str, str, str]:
        memory = structs.replace(STATUS.memory, last_guard_action=GuardAction(model="qwen", seconds_ago=ago))
        return check_with(machine_checks.check_guard, status=with_status(memory=memory))

    assert check_with(machine_checks.check_guard)[:2] == ("ok", "it has never acted")
    level, found, fix = check_guard_after(3 * 3600.0)
    assert (level, found) == ("warning", "the memory guard last acted 3 h ago on qwen")
    assert "`sparkctl status qwen`" in fix
    assert check_guard_after(86401.0)[:2] == ("ok", "the memory guard last acted 1 d ago on qwen")

"""What `sparkctl doctor` makes of catalogue, daemon, port, keys and disk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from msgspec import structs

from sparkd.catalog.quantities import GIB
from sparkd.cli.doctor import access_checks, checks, machine_checks
from sparkd.cli.doctor.checks import run_checks
from sparkd.cli.doctor.facts import DiskSpace, Facts, KeyFile, ModelNeeds, PortState, Readiness, UnitState
from sparkd.hub.files import SourceOnDisk
from sparkd.scheduling.status import LauncherStatus, ModelStatus
from tests.cli.doctor_facts import HEALTHY, INSTALLED, SPARK, UNITS, check_with, with_status


def needs(model: str, *parts: SourceOnDisk, runtime: str | None = "cpu") -> ModelNeeds:
    return ModelNeeds(model, runtime, parts)


def test_where_all_is_well_everything_is_ok_and_nothing_is_to_be_mended() -> None:
    findings = run_checks(HEALTHY)
    assert {finding.level for finding in findings} == {"ok"}
    assert {finding.fix for finding in findings} == {None}
    assert len(findings) >= 11


def test_whatever_is_not_ok_says_what_mends_it() -> None:
    disk = DiskSpace("paths.models", Path("/models"), 0)
    worst = Facts(
        path=HEALTHY.path,
        problems=("a is wrong",),
        catalogue=replace(
            INSTALLED,
            enabled=0,
            key_file=KeyFile(Path("/keys"), 0o644),
            ports=(PortState("127.0.0.1:8009", "in use", taken=True),),
            disks=(disk,),
            readiness=Readiness(
                (
                    needs("qwen", SourceOnDisk(source="/weights", state="absent")),
                    needs("tiny", SourceOnDisk(source="/secret", state="unknown")),
                    needs(
                        "half",
                        SourceOnDisk(source="org/half", state="incomplete", missing=("a.safetensors",)),
                    ),
                ),
                runtimes={"cpu": False},
            ),
        ),
        units={name: UnitState("", "inactive") for name in UNITS},
        memory=structs.replace(SPARK, available=GIB, host_available=GIB, free=GIB),
        floor=5 * GIB,
        swap_used=GIB,
    )
    findings = run_checks(worst)
    assert all(finding.fix for finding in findings if finding.level != "ok")
    assert {finding.check for finding in findings if finding.level == "ok"} == {"page cache"}


def test_all_problems_of_the_catalogue_are_counted_and_the_first_is_told() -> None:
    level, found, fix = check_with(checks.check_catalogue, problems=("models.a: x", "models.b: y"))
    assert (level, fix) == ("error", "run `sparkctl check` for details")
    assert found == "2 problems in /etc/sparkd/models.toml: models.a: x, and 1 more"


def test_a_daemon_that_answers_is_told_with_its_version_and_uptime() -> None:
    assert check_with(checks.check_daemon)[:2] == ("ok", "sparkd 1.2.3 (PID 42) answers, up 2 h 5 min")


def test_a_daemon_of_another_version_is_to_be_replaced() -> None:
    level, found, fix = check_with(checks.check_daemon, status=with_status(version="1.2.2"))
    assert level == "warning"
    assert "sparkd 1.2.2" in found
    assert "1.2.3" in found
    assert fix == "run `sudo sparkctl reexec` to replace it; models stay loaded"


def test_no_daemon_is_a_warning_with_the_command_that_starts_one_here() -> None:
    level, found, fix = check_with(checks.check_daemon, status=None, daemon="absent")
    assert (level, found, fix) == ("warning", "sparkd is not running", "run `sudo systemctl start sparkd`")
    by_hand = check_with(checks.check_daemon, status=None, daemon="absent", units=None)[2]
    assert by_hand == "run `sparkd --catalogue /etc/sparkd/models.toml`"


def test_another_users_daemon_is_a_warning_and_something_else_at_its_socket_is_wrong() -> None:
    assert check_with(checks.check_daemon, status=None, daemon="forbidden", daemon_error="no")[0] == "warning"
    assert check_with(checks.check_daemon, status=None, daemon="foreign", daemon_error="who?")[0] == "error"


def test_a_quarantined_model_is_named_with_its_cause_and_the_command_that_lifts_it() -> None:
    held = ModelStatus(id="qwen", state="backoff", quarantined=True, cause="Out of memory.\nMore.")
    level, found, fix = check_with(checks.check_quarantine, status=with_status(models=(held,)))
    assert (level, found) == ("error", "qwen is quarantined: Out of memory.")
    assert "`sparkctl retry qwen`" in fix


def test_a_runtime_whose_engines_start_cold_after_failures_is_named_with_the_reason() -> None:
    ready = LauncherStatus(runtime="cpu", state="ready", pid=7, memory=1 << 29, starts=2)
    level, found, _ = check_with(checks.check_launchers, status=with_status(launchers=(ready,)))
    assert (level, found) == ("ok", "engines of cpu start warm")
    off = LauncherStatus(runtime="vllm", state="off", reason="warm starts of this runtime failed: it hung.")
    level, found, fix = check_with(checks.check_launchers, status=with_status(launchers=(off,)))
    assert (level, found) == (
        "warning",
        "engines of runtime vllm start cold, because warm starts of this runtime failed: it hung.",
    )
    assert "launcher-vllm-*.log" in fix
    assert "`sparkctl retry MODEL`" in fix


def test_what_only_the_daemon_knows_is_left_out_without_one() -> None:
    alone = replace(HEALTHY, status=None, daemon="absent")
    assert list(machine_checks.check_leaks(alone)) == []
    assert list(machine_checks.check_guard(alone)) == []
    assert list(checks.check_quarantine(alone)) == []
    assert list(checks.check_launchers(alone)) == []


def test_a_port_that_another_has_is_wrong_unless_it_is_sparkds_own_socket() -> None:
    taken = replace(
        INSTALLED, ports=(PortState("127.0.0.1:8009", "in use", taken=True, holder="nginx (PID 7)"),)
    )
    alone = {"status": None, "daemon": "absent", "catalogue": taken}
    assert check_with(access_checks.check_port, **alone)[0] == "ok"  # sparkd.socket has it
    level, found, _ = check_with(access_checks.check_port, **alone, units=None)
    assert (level, found) == ("error", "127.0.0.1:8009 is in use by nginx (PID 7)")


def test_no_keys_beyond_loopback_is_wrong_whoever_opened_the_door() -> None:
    assert check_with(access_checks.check_api_keys)[0] == "ok"
    level, found, fix = check_with(access_checks.check_api_keys, status=with_status(listen=("[::]:8009",)))
    assert level == "error"
    assert "[::]:8009" in found
    assert "server.api_key_file" in fix
    planned = replace(INSTALLED, ports=(PortState("0.0.0.0:8009"),))
    assert check_with(access_checks.check_api_keys, status=None, catalogue=planned)[0] == "error"


def test_a_key_file_that_others_can_read_is_wrong() -> None:
    def check_key_file(keys: KeyFile) -> tuple[str, str, str]:
        return check_with(access_checks.check_api_keys, catalogue=replace(INSTALLED, key_file=keys))

    assert check_key_file(KeyFile(Path("/keys"), 0o600))[0] == "ok"
    level, found, fix = check_key_file(KeyFile(Path("/keys"), 0o644))
    assert (level, fix) == ("error", "run `sudo chmod o-rwx /keys`")
    assert "mode 0644" in found
    assert check_key_file(KeyFile(Path("/keys"), 0o600, "it has no key"))[0] == "error"


def test_less_than_20_gib_of_disk_is_a_warning() -> None:
    disks = tuple(DiskSpace("paths.models", Path("/m"), free) for free in (20 * GIB - 1, 20 * GIB))
    found = list(checks.check_disk(replace(HEALTHY, catalogue=replace(INSTALLED, disks=disks))))
    assert [finding.level for finding in found] == ["warning", "ok"]

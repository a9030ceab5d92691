"""`sparkctl doctor`: its checks, given facts; and the command itself, with and without a daemon."""

from __future__ import annotations

import json
import os
import socket
import tempfile
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sparkd import __version__
from sparkd.catalog.quantities import GIB
from sparkd.cli import doctor_checks, doctor_machine
from sparkd.cli.doctor_checks import examine, is_local
from sparkd.cli.doctor_facts import (
    Delegation,
    Disk,
    Facts,
    Finding,
    Findings,
    Installed,
    KeyFile,
    Needed,
    Port,
    Unit,
    Weights,
)
from sparkd.cli.doctor_look import unit_in
from sparkd.machine.memory import Memory
from sparkd.machine.nvml import Gpu
from sparkd.scheduling.status import MemoryStatus, ModelStatus, QueueStatus, Status
from tests.cli.running import sparkctl
from tests.e2e.house import House, engine

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
INSTALLED = Installed(enabled=1, port=Port("127.0.0.1:8009"))
UNITS = {
    "sparkd.socket": Unit("enabled", "active"),
    "sparkd-control.socket": Unit("enabled", "active"),
    "sparkd.service": Unit("indirect", "inactive"),
}
WELL = Facts(
    path=Path("/etc/sparkd/models.toml"),
    installed=INSTALLED,
    daemon="running",
    status=STATUS,
    units=UNITS,
    delegation=Delegation("sparkd.service", delegated=True),
    gpu=Gpu("NVIDIA GB10", None, None),
    memory=SPARK,
    floor=5 * GIB,
    version="1.2.3",
)


def one(check: Callable[[Facts], Findings], facts: Facts) -> Finding:
    """The only thing that a check finds."""
    (finding,) = check(facts)
    return finding


def after(check: Callable[[Facts], Findings], **changed: Any) -> tuple[str, str, str]:
    """Level, finding and mend of a check where all is well but for this."""
    finding = one(check, replace(WELL, **changed))
    return finding.level, finding.found, finding.mend or ""


def with_status(**changed: Any) -> Status:
    return msgspec.structs.replace(STATUS, **changed)


def test_where_all_is_well_everything_is_ok_and_nothing_is_to_be_mended() -> None:
    findings = examine(WELL)
    assert {finding.level for finding in findings} == {"ok"}
    assert {finding.mend for finding in findings} == {None}
    assert len(findings) >= 11


def test_whatever_is_not_ok_says_what_mends_it() -> None:
    disk = Disk("paths.models", Path("/models"), 0)
    worst = Facts(
        path=WELL.path,
        problems=("a is wrong",),
        installed=replace(
            INSTALLED,
            enabled=0,
            key_file=KeyFile(Path("/keys"), 0o644),
            port=Port("127.0.0.1:8009", "in use", taken=True),
            disks=(disk,),
            runtimes=(Needed("cpu", ("qwen",), built=False),),
            weights=(Weights("qwen", "/weights", there=False), Weights("tiny", "/secret", there=None)),
        ),
        units={name: Unit("", "inactive") for name in UNITS},
        memory=replace(SPARK, available=GIB, host_available=GIB, free=GIB),
        floor=5 * GIB,
        swapped=GIB,
    )
    findings = examine(worst)
    assert all(finding.mend for finding in findings if finding.level != "ok")
    assert {finding.check for finding in findings if finding.level == "ok"} == {"page cache"}


def test_all_problems_of_the_catalogue_are_counted_and_the_first_is_told() -> None:
    level, found, mend = after(doctor_checks.catalogue, problems=("models.a: x", "models.b: y"))
    assert (level, mend) == ("wrong", "`sparkctl check` names each")
    assert found == "2 problems in /etc/sparkd/models.toml: models.a: x, and 1 more"


def test_a_daemon_that_answers_is_told_with_its_version_and_uptime() -> None:
    assert after(doctor_checks.daemon)[:2] == ("ok", "sparkd 1.2.3 (PID 42) answers, up 2 h 5 min")


def test_a_daemon_of_another_version_is_to_be_restarted() -> None:
    level, found, mend = after(doctor_checks.daemon, status=with_status(version="1.2.2"))
    assert level == "warning"
    assert "sparkd 1.2.2" in found
    assert "1.2.3" in found
    assert mend == "`sudo systemctl restart sparkd`"


def test_no_daemon_is_a_warning_with_the_command_that_starts_one_here() -> None:
    level, found, mend = after(doctor_checks.daemon, status=None, daemon="absent")
    assert (level, found, mend) == ("warning", "sparkd is not running", "`sudo systemctl start sparkd`")
    by_hand = after(doctor_checks.daemon, status=None, daemon="absent", units=None)[2]
    assert by_hand == "`sparkd --catalogue /etc/sparkd/models.toml`"


def test_another_users_daemon_is_a_warning_and_something_else_at_its_socket_is_wrong() -> None:
    assert after(doctor_checks.daemon, status=None, daemon="forbidden", daemon_says="no")[0] == "warning"
    assert after(doctor_checks.daemon, status=None, daemon="strange", daemon_says="who?")[0] == "wrong"


def test_a_quarantined_model_is_named_with_its_cause_and_the_command_that_lifts_it() -> None:
    held = ModelStatus(id="qwen", state="backoff", quarantined=True, cause="Out of memory.\nMore.")
    level, found, mend = after(doctor_checks.quarantine, status=with_status(models=(held,)))
    assert (level, found) == ("wrong", "qwen is not started any more: Out of memory.")
    assert "`sparkctl retry qwen`" in mend


def test_leaked_memory_is_told_in_bytes_and_that_a_reboot_brings_it_back() -> None:
    leaking = with_status(memory=msgspec.structs.replace(STATUS.memory, leaked=3 * GIB))
    level, found, mend = after(doctor_machine.leaks, status=leaking)
    assert level == "warning"
    assert found.startswith(f"3.0 GiB ({3 * GIB} bytes) ")
    assert mend == "`sudo reboot` brings it back"


def test_what_only_the_daemon_knows_is_left_out_without_one() -> None:
    alone = replace(WELL, status=None, daemon="absent")
    assert list(doctor_machine.leaks(alone)) == []
    assert list(doctor_checks.quarantine(alone)) == []


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


def test_a_port_that_another_has_is_wrong_unless_it_is_sparkds_own_socket() -> None:
    taken = replace(INSTALLED, port=Port("127.0.0.1:8009", "in use", taken=True, holder="nginx (PID 7)"))
    alone = {"status": None, "daemon": "absent", "installed": taken}
    assert after(doctor_checks.port, **alone)[0] == "ok"  # sparkd.socket has it
    level, found, _ = after(doctor_checks.port, **alone, units=None)
    assert (level, found) == ("wrong", "127.0.0.1:8009 is taken by nginx (PID 7)")


def test_no_keys_beyond_loopback_is_wrong_whoever_opened_the_door() -> None:
    assert after(doctor_checks.api_keys)[0] == "ok"
    level, found, mend = after(doctor_checks.api_keys, status=with_status(listen=("[::]:8009",)))
    assert level == "wrong"
    assert "[::]:8009" in found
    assert "server.api_key_file" in mend
    planned = replace(INSTALLED, port=Port("0.0.0.0:8009"))
    assert after(doctor_checks.api_keys, status=None, installed=planned)[0] == "wrong"


def test_a_key_file_that_others_can_read_is_wrong() -> None:
    def judged(keys: KeyFile) -> tuple[str, str, str]:
        return after(doctor_checks.api_keys, installed=replace(INSTALLED, key_file=keys))

    assert judged(KeyFile(Path("/keys"), 0o600))[0] == "ok"
    level, found, mend = judged(KeyFile(Path("/keys"), 0o644))
    assert (level, mend) == ("wrong", "`sudo chmod o-rwx /keys`")
    assert "mode 0644" in found
    assert judged(KeyFile(Path("/keys"), 0o600, "it has no key"))[0] == "wrong"


@pytest.mark.parametrize("door", ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "localhost:1", "/run/door"])
def test_a_door_of_this_machine_alone_is_known(door: str) -> None:
    assert is_local(door)


@pytest.mark.parametrize("door", ["0.0.0.0:1", "[::]:1", "192.168.1.2:1", "spark.lan:1"])
def test_a_door_that_others_reach_is_known(door: str) -> None:
    assert not is_local(door)


def test_less_than_20_gib_of_disk_is_a_warning() -> None:
    disks = tuple(Disk("paths.models", Path("/m"), free) for free in (20 * GIB - 1, 20 * GIB))
    found = list(doctor_checks.disk(replace(WELL, installed=replace(INSTALLED, disks=disks))))
    assert [finding.level for finding in found] == ["warning", "ok"]


def house(folder: Path, more: str = "") -> Path:
    """A catalogue on a free port, whose model has neither its runtime nor its source."""
    path = folder / "models.toml"
    path.write_text(
        f'[server]\nlisten = "127.0.0.1:0"\n{more}[models.one]\nsource = "./weights"\nruntime = "plain"\n'
    )
    (folder / "venvs" / "plain").mkdir(parents=True)
    (folder / "venvs" / "plain" / "runtime.toml").write_text("")
    (folder / "venvs" / "plain" / "requirements.lock").write_text("")
    return path


def examined(path: Path) -> tuple[int, dict[str, dict[str, Any]]]:
    """Exit code, and the last finding of each check, of the real command."""
    ran = sparkctl("doctor", "--json", "--catalogue", path)
    assert ran.err == ""
    return ran.code, {finding["check"]: finding for finding in json.loads(ran.out)}


def test_without_a_daemon_it_says_so_and_that_is_no_failure(tmp_path: Path) -> None:
    path = house(tmp_path)
    code, found = examined(path)
    assert code == 0
    assert found["daemon"]["found"] == "sparkd is not running"
    assert found["port"]["level"] == "ok"
    assert found["runtime"]["mend"] == "`sparkctl runtime build plain`"
    assert found["model"]["found"] == f"one cannot start: its source {tmp_path}/weights is not there"
    assert set(found["swap"]) == {"check", "level", "found", "mend"}
    told = sparkctl("doctor", "--catalogue", path).out.splitlines()
    assert told[0].startswith(f"ok       catalogue  {path} is right: 1 model")
    assert any(line.startswith("warning  runtime    plain is not built") for line in told)


def test_a_catalogue_with_problems_fails_and_the_machine_is_looked_at_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "models.toml"
    path.write_text('[models.one]\nruntime = "plian"\nidle_timeuot = 3\n')
    code, found = examined(path)
    assert (code, found["catalogue"]["level"]) == (1, "wrong")
    assert found["catalogue"]["found"][0].isdigit()
    assert "memory" in found
    path.write_text("[models.one")
    code, found = examined(path)
    assert (code, found["daemon"]["level"]) == (1, "warning")


def test_a_machine_without_a_catalogue_is_told_so(tmp_path: Path) -> None:
    code, found = examined(tmp_path / "none.toml")
    assert code == 1
    assert f"{tmp_path}/none.toml" in found["catalogue"]["found"]
    unnamed = sparkctl("doctor", cwd=tmp_path)
    assert (unnamed.code, unnamed.err) == (1, "")
    assert f"There is no catalogue: neither {tmp_path}/models.toml nor " in unnamed.out


def test_a_port_that_somebody_else_listens_on_is_wrong_and_names_them(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        path = house(tmp_path)
        path.write_text(path.read_text().replace("127.0.0.1:0", f"127.0.0.1:{port}"))
        code, found = examined(path)
    assert (code, found["port"]["level"]) == (1, "wrong")
    assert f"(PID {os.getpid()})" in found["port"]["found"]


def test_a_real_key_file_is_judged_by_its_mode_and_by_what_is_in_it(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    path = house(tmp_path, f'api_key_file = "{keys}"\n')
    assert "cannot be read" in examined(path)[1]["api keys"]["found"]
    keys.write_text("owner: sk-1\n")
    keys.chmod(0o644)
    code, found = examined(path)
    assert (code, found["api keys"]["mend"]) == (1, f"`sudo chmod o-rwx {keys}`")
    keys.chmod(0o600)
    assert examined(path)[0] == 0
    keys.write_text("")
    assert "has no key" in examined(path)[1]["api keys"]["found"]


def test_a_socket_that_a_killed_daemon_left_is_no_daemon_and_one_that_a_stranger_holds_is_wrong() -> None:
    with tempfile.TemporaryDirectory(prefix="sparkd-doc-") as folder:  # short: sockets live below it
        path = house(Path(folder))
        (Path(folder) / "run").mkdir()
        with socket.socket(socket.AF_UNIX) as door:
            door.bind(f"{folder}/run/control.sock")
            assert examined(path)[1]["daemon"]["found"] == "sparkd is not running"
            door.listen()
            threading.Thread(target=hang_up, args=[door], daemon=True).start()
            code, found = examined(path)
    assert (code, found["daemon"]["level"]) == (1, "wrong")
    assert found["daemon"]["mend"].startswith("end what listens there, then `sparkd --catalogue ")


def hang_up(door: socket.socket) -> None:
    """Take one connection and answer what is no HTTP."""
    with door.accept()[0] as client:
        client.recv(1000)
        client.sendall(b"What do you want?\r\n\r\n")


def test_the_unit_of_a_daemon_is_told_from_a_shell_and_from_a_container() -> None:
    assert unit_in("1:name=systemd:/x\n0::/sparkd.slice/sparkd.service\n") == "sparkd.slice/sparkd.service"
    assert unit_in("0::/sparkd.slice/sparkd.service/daemon\n") == "sparkd.slice/sparkd.service"
    assert unit_in("0::/user.slice/user-1.slice/user@1.service/app.slice/vte-1.scope\n") is None
    assert unit_in("0::/user.slice/user-1.slice/session-3.scope\n") is None
    assert unit_in("0::/\n") is None
    assert unit_in("4:memory:/sparkd.service\n") is None


def test_a_running_daemon_and_its_quarantined_model_are_told() -> None:
    broken = {"engine": "command", "command": ["/bin/sh", "-c", "exit 3", "{socket}"], "memory": "1 GiB"}
    with tempfile.TemporaryDirectory(prefix="sparkd-doc-") as folder:  # short: sockets live below it
        catalogue = {"failures": {"max_failures": 1}, "models": {"quick": engine(), "broken": broken}}
        house = House(Path(folder), catalogue)
        house.start()
        try:
            code, found = examined(house.catalogue)
            assert (code, found["daemon"]["level"], found["quarantine"]["level"]) == (0, "ok", "ok")
            assert found["daemon"]["found"].startswith(f"sparkd {__version__} (PID {house.process.pid}) ")
            assert found["port"]["found"] == f"sparkd listens on 127.0.0.1:{house.port}"
            assert sparkctl("load", "broken", "--catalogue", house.catalogue).code == 1
            code, found = examined(house.catalogue)
            assert (code, found["quarantine"]["level"]) == (1, "wrong")
            assert "`sparkctl retry broken`" in found["quarantine"]["mend"]
        finally:
            house.stop()
        house.assert_nothing_left()
        assert examined(house.catalogue)[1]["daemon"]["level"] == "warning"

"""Processes in cgroups of their own, in the machine's real cgroup tree. Needs root, to create cgroups there."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sparkd.engines.engine import Exit
from sparkd.processes.cgroups import Cgroup, Cgroups, find_cgroup, parse_unit
from sparkd.processes.log import Log
from sparkd.processes.process import Process
from tests.processes.children import bad_engine, is_running, pids_of, python, wait_until

CLAIM = """
import json, logging, os, sys
from pathlib import Path
from sparkd.processes import cgroups

messages = []
class RecordingHandler(logging.Handler):
    def emit(self, record):
        messages.append((record.levelname, record.getMessage(), record.fields["EVENT"]))
logging.basicConfig(handlers=[RecordingHandler()], level="INFO")
Path(sys.argv[1], "cgroup.procs").write_text(str(os.getpid()))
delegated = cgroups.claim()
if delegated:
    delegated.initialize(sys.argv[2:])  # again, as after a re-exec
own = Path("/proc/self/cgroup").read_text().splitlines()[-1]
controllers = sorted(delegated.controllers) if delegated else None
base = delegated and str(delegated.base)
print(json.dumps({"base": base, "own": own, "controllers": controllers, "messages": messages}))
"""
"""Moves into a cgroup, claims it as the daemon does, and prints the result."""


def writable_tree() -> Path | None:
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, mount_point, kind, *_ = line.split()
        if kind == "cgroup2" and os.access(mount_point, os.W_OK):
            return Path(mount_point)
    return None


TREE = writable_tree()

if TREE is not None:  # without a writable tree, the tests of find_family cover stopping

    @pytest.fixture
    def cgroups() -> Iterator[Cgroups]:
        assert TREE is not None
        base = TREE / f"sparkd-test-{os.getpid()}"
        base.mkdir()
        yield Cgroups(base)
        assert list(base.glob("sparkd-engine-*")) == []
        base.rmdir()

    def test_even_a_process_that_left_session_and_folder_is_killed(tmp_path: Path, cgroups: Cgroups) -> None:
        async def scenario() -> None:
            flags = ("--deaf", "--fork-grandchildren", "1", "--fork-runaways", "2", "--runaways-leave")
            process = await Process.start(bad_engine(*flags), tmp_path, Log(None), cgroups=cgroups)
            await wait_until(lambda: len(pids_of(tmp_path, "grandchild", "runaway")) == 3)
            family = pids_of(tmp_path, "started", "grandchild", "runaway")
            assert process.remaining_pids() == sorted(family)
            os.kill(process.pid, 9)
            assert await process.wait() == Exit(None, 9)
            assert len(process.remaining_pids()) == 3
            await process.stop(0)
            assert not any(map(is_running, family))

        asyncio.run(scenario())

    def test_a_process_that_has_not_moved_into_its_cgroup_yet_is_killed(
        tmp_path: Path, cgroups: Cgroups
    ) -> None:
        async def scenario() -> None:
            for _ in range(5):
                process = await Process.start(
                    python("import time; time.sleep(600)"), tmp_path, Log(None), cgroups=cgroups
                )
                assert process.pid in process.remaining_pids()
                await process.stop(0)
                assert not is_running(process.pid)

        asyncio.run(scenario())

    def test_cgroups_that_an_engine_creates_are_removed_with_it(tmp_path: Path, cgroups: Cgroups) -> None:
        program = (
            f"import os, time; own = '{TREE}' + open('/proc/self/cgroup').read().split('0::')[1].strip();"
            "os.mkdir(own + '/inner'); open(own + '/inner/cgroup.procs', 'w').write(str(os.getpid()));"
            "print('moved', flush=True); time.sleep(600)"
        )

        async def scenario() -> None:
            log = Log(None)
            process = await Process.start(python(program), tmp_path, log, cgroups=cgroups)
            await wait_until(lambda: log.tail(1) == ["moved"])
            assert process.remaining_pids() == [process.pid]
            await process.stop(0)

        asyncio.run(scenario())

    def test_a_cgroup_that_an_earlier_sparkd_could_not_remove_is_not_used_again(cgroups: Cgroups) -> None:
        first, second = cgroups.create("m.1"), cgroups.create("m.1")
        assert sorted(cgroups.find("m.1")) == [first.path, second.path]
        assert cgroups.find("m") == []
        assert find_cgroup(os.getpid(), "m.1") is None
        for cgroup in (first, second):
            cgroup.remove()

    @pytest.fixture
    def unit() -> Iterator[Path]:
        """Yield a cgroup that is named like a systemd unit's."""
        assert TREE is not None
        path = TREE / f"sparkd-test-{os.getpid()}.service"
        path.mkdir()
        yield path
        Cgroup(path).remove()
        assert not path.exists()

    def run_claim(path: Path, *controllers: str) -> dict[str, Any]:
        """Run CLAIM in the cgroup at `path`; return its result."""
        argv = [sys.executable, "-c", CLAIM, str(path), *controllers]
        result: dict[str, Any] = json.loads(subprocess.run(argv, capture_output=True, check=True).stdout)
        return result

    def test_a_daemon_moves_into_its_own_cgroup_so_that_its_engines_get_controllers(unit: Path) -> None:
        os.setxattr(unit, "trusted.delegate", b"1")
        available = (unit / "cgroup.controllers").read_text().split()
        result = run_claim(unit, *available)
        assert result["base"] == str(unit)
        assert result["own"] == f"0::/{unit.name}/daemon"
        assert result["controllers"] == sorted(available)
        assert len(result["messages"]) == (not {"cpu", "memory", "pids"} <= set(available))

    def test_a_daemon_that_systemd_starts_in_its_own_cgroup_stays_there(unit: Path) -> None:
        """DelegateSubgroup= of systemd 254 and newer."""
        os.setxattr(unit, "trusted.delegate", b"1")
        (unit / "main").mkdir()
        result = run_claim(unit / "main")
        assert (result["base"], result["own"]) == (str(unit), f"0::/{unit.name}/main")

    def test_a_unit_without_delegation_logs_one_warning_with_its_fix(unit: Path) -> None:
        result = run_claim(unit)
        ((level, message, event),) = result["messages"]
        assert (result["base"], level, event) == (None, "WARNING", "cgroups")
        assert f"run `sudo systemctl edit {unit.name}` and add it under [Service]" in message

    def test_in_a_terminal_this_is_not_a_warning() -> None:
        assert TREE is not None
        ((level, message, _),) = run_claim(TREE)["messages"]
        assert level == "INFO"
        assert message.endswith("sparkd was started by hand, and systemd delegates cgroups only to its units")


def test_a_cgroup_has_its_weight_and_reports_its_host_memory(
    tmp_path: Path,
) -> None:
    """Uses files in an ordinary folder, because not every test machine has these controllers."""
    cgroup = Cgroups(tmp_path).create("m.1", 300)
    assert (cgroup.path / "cpu.weight").read_text() == "300"
    cgroup.set_cpu_weight(50)
    assert (cgroup.path / "cpu.weight").read_text() == "50"
    assert cgroup.host_memory() == (None, None)
    (cgroup.path / "memory.current").write_text("4096\n")
    (cgroup.path / "memory.peak").write_text("8192\n")
    assert cgroup.host_memory() == (4096, 8192)


def test_a_daemons_unit_is_distinguished_from_a_shell_and_a_container() -> None:
    assert parse_unit("1:name=systemd:/x\n0::/sparkd.slice/sparkd.service\n") == "sparkd.slice/sparkd.service"
    assert parse_unit("0::/sparkd.slice/sparkd.service/daemon\n") == "sparkd.slice/sparkd.service"
    assert parse_unit("0::/user.slice/user-1.slice/user@1.service/app.slice/vte-1.scope\n") is None
    assert parse_unit("0::/user.slice/user-1.slice/session-3.scope\n") is None
    assert parse_unit("0::/\n") is None
    assert parse_unit("4:memory:/sparkd.service\n") is None
    assert (
        parse_unit("1:name=systemd:/system.slice/sparkd.service\n4:memory:/\n")
        == "system.slice/sparkd.service"
    )
    assert parse_unit("") is None


def test_a_process_starts_without_a_cgroup_if_none_can_be_created(tmp_path: Path) -> None:
    async def scenario() -> None:
        absent = Cgroups(tmp_path / "absent")
        process = await Process.start(python("pass"), tmp_path, Log(None), cgroups=absent)
        assert await process.wait() == Exit(0)
        await process.stop(0)

    asyncio.run(scenario())


def test_only_a_delegated_tree_is_used() -> None:
    delegated = Cgroups.find_delegated()
    assert delegated is None or os.access(delegated.base / "cgroup.procs", os.W_OK)

"""Processes in cgroups of their own, in the machine's real cgroup tree; needs root, as systemd's delegation does."""

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
from sparkd.processes.cgroups import Cgroup, Cgroups, cgroup_of, unit_in
from sparkd.processes.log import Log
from sparkd.processes.process import Process
from tests.processes.children import bad, pids_of, python, runs, until

CLAIM = """
import json, logging, os, sys
from pathlib import Path
from sparkd.processes import cgroups

said = []
class Ear(logging.Handler):
    def emit(self, record):
        said.append((record.levelname, record.getMessage(), record.fields["EVENT"]))
logging.basicConfig(handlers=[Ear()], level="INFO")
Path(sys.argv[1], "cgroup.procs").write_text(str(os.getpid()))
found = cgroups.claim()
if found:
    found.settle(sys.argv[2:])  # again, as after a re-exec
own = Path("/proc/self/cgroup").read_text().splitlines()[-1]
below = sorted(found.controllers) if found else None
print(json.dumps({"base": found and str(found.base), "own": own, "controllers": below, "said": said}))
"""
"""Moves into a cgroup, claims it as the daemon does, and tells what came of it."""


def writable_tree() -> Path | None:
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, place, kind, *_ = line.split()
        if kind == "cgroup2" and os.access(place, os.W_OK):
            return Path(place)
    return None


TREE = writable_tree()

if TREE is not None:  # elsewhere the tests of the session sweep say all there is to say

    @pytest.fixture
    def cgroups() -> Iterator[Cgroups]:
        assert TREE is not None
        base = TREE / f"sparkd-test-{os.getpid()}"
        base.mkdir()
        yield Cgroups(base)
        assert list(base.glob("sparkd-engine-*")) == []
        base.rmdir()

    def test_even_a_runaway_that_left_session_and_folder_is_ended(tmp_path: Path, cgroups: Cgroups) -> None:
        async def scene() -> None:
            flags = ("--deaf", "--fork-grandchildren", "1", "--fork-runaways", "2", "--runaways-leave")
            process = await Process.start(bad(*flags), tmp_path, Log(None), cgroups=cgroups)
            await until(lambda: len(pids_of(tmp_path, "grandchild", "runaway")) == 3)
            family = pids_of(tmp_path, "started", "grandchild", "runaway")
            assert process.remains() == sorted(family)
            os.kill(process.pid, 9)
            assert await process.wait() == Exit(None, 9)
            assert len(process.remains()) == 3
            await process.stop(0)
            assert not any(map(runs, family))

        asyncio.run(scene())

    def test_a_process_ended_before_it_has_moved_in_is_not_forgotten(
        tmp_path: Path, cgroups: Cgroups
    ) -> None:
        async def scene() -> None:
            for _ in range(5):
                process = await Process.start(
                    python("import time; time.sleep(60)"), tmp_path, Log(None), cgroups=cgroups
                )
                assert process.pid in process.remains()
                await process.stop(0)
                assert not runs(process.pid)

        asyncio.run(scene())

    def test_cgroups_that_an_engine_made_itself_go_with_it(tmp_path: Path, cgroups: Cgroups) -> None:
        program = (
            f"import os, time; own = '{TREE}' + open('/proc/self/cgroup').read().split('0::')[1].strip();"
            "os.mkdir(own + '/inner'); open(own + '/inner/cgroup.procs', 'w').write(str(os.getpid()));"
            "print('moved', flush=True); time.sleep(60)"
        )

        async def scene() -> None:
            log = Log(None)
            process = await Process.start(python(program), tmp_path, log, cgroups=cgroups)
            await until(lambda: log.tail(1) == ["moved"])
            assert process.remains() == [process.pid]
            await process.stop(0)

        asyncio.run(scene())

    def test_a_name_that_a_former_sparkd_could_not_clear_is_passed_over(cgroups: Cgroups) -> None:
        first, second = cgroups.create("m.1"), cgroups.create("m.1")
        assert sorted(cgroups.named("m.1")) == [first.path, second.path]
        assert cgroups.named("m") == []
        assert cgroup_of(os.getpid(), "m.1") is None
        for cgroup in (first, second):
            cgroup.remove()

    @pytest.fixture
    def unit() -> Iterator[Path]:
        """A cgroup called as a unit's is."""
        assert TREE is not None
        path = TREE / f"sparkd-test-{os.getpid()}.service"
        path.mkdir()
        yield path
        Cgroup(path).remove()
        assert not path.exists()

    def claimed(path: Path, *controllers: str) -> dict[str, Any]:
        """What a process in there makes of it."""
        argv = [sys.executable, "-c", CLAIM, str(path), *controllers]
        found: dict[str, Any] = json.loads(subprocess.run(argv, capture_output=True, check=True).stdout)
        return found

    def test_a_daemon_moves_into_a_leaf_so_that_its_engines_get_controllers(unit: Path) -> None:
        os.setxattr(unit, "trusted.delegate", b"1")
        here = (unit / "cgroup.controllers").read_text().split()
        told = claimed(unit, *here)
        assert told["base"] == str(unit)
        assert told["own"] == f"0::/{unit.name}/daemon"
        assert told["controllers"] == sorted(here)
        assert len(told["said"]) == (not {"cpu", "memory", "pids"} <= set(here))

    def test_a_daemon_that_systemd_starts_in_a_leaf_stays_there(unit: Path) -> None:
        """DelegateSubgroup= of systemd 254 and newer."""
        os.setxattr(unit, "trusted.delegate", b"1")
        (unit / "main").mkdir()
        told = claimed(unit / "main")
        assert (told["base"], told["own"]) == (str(unit), f"0::/{unit.name}/main")

    def test_a_unit_without_delegation_is_warned_of_once_and_with_its_mend(unit: Path) -> None:
        told = claimed(unit)
        ((level, said, event),) = told["said"]
        assert (told["base"], level, event) == (None, "WARNING", "cgroups")
        assert f"`sudo systemctl edit {unit.name}`, Delegate=yes under [Service]" in said

    def test_in_a_terminal_that_is_no_warning() -> None:
        assert TREE is not None
        ((level, said, _),) = claimed(TREE)["said"]
        assert level == "INFO"
        assert said.endswith("systemd delegates none to what is started by hand")


def test_a_cgroup_has_the_weight_it_is_given_and_tells_the_host_memory_it_is_charged_with(
    tmp_path: Path,
) -> None:
    """Files in an ordinary folder: these controllers are not to be had on every machine that tests run on."""
    cgroup = Cgroups(tmp_path).create("m.1", 300)
    assert (cgroup.path / "cpu.weight").read_text() == "300"
    cgroup.weigh(50)
    assert (cgroup.path / "cpu.weight").read_text() == "50"
    assert cgroup.host_memory() == (None, None)
    (cgroup.path / "memory.current").write_text("4096\n")
    (cgroup.path / "memory.peak").write_text("8192\n")
    assert cgroup.host_memory() == (4096, 8192)


def test_the_unit_of_a_daemon_is_told_from_a_shell_and_from_a_container() -> None:
    assert unit_in("1:name=systemd:/x\n0::/sparkd.slice/sparkd.service\n") == "sparkd.slice/sparkd.service"
    assert unit_in("0::/sparkd.slice/sparkd.service/daemon\n") == "sparkd.slice/sparkd.service"
    assert unit_in("0::/user.slice/user-1.slice/user@1.service/app.slice/vte-1.scope\n") is None
    assert unit_in("0::/user.slice/user-1.slice/session-3.scope\n") is None
    assert unit_in("0::/\n") is None
    assert unit_in("4:memory:/sparkd.service\n") is None
    assert (
        unit_in("1:name=systemd:/system.slice/sparkd.service\n4:memory:/\n") == "system.slice/sparkd.service"
    )
    assert unit_in("") is None


def test_where_no_cgroup_can_be_made_the_process_starts_without(tmp_path: Path) -> None:
    async def scene() -> None:
        absent = Cgroups(tmp_path / "absent")
        process = await Process.start(python("pass"), tmp_path, Log(None), cgroups=absent)
        assert await process.wait() == Exit(0)
        await process.stop(0)

    asyncio.run(scene())


def test_only_a_delegated_tree_is_used() -> None:
    found = Cgroups.delegated()
    assert found is None or os.access(found.base / "cgroup.procs", os.W_OK)

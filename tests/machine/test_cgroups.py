"""Processes in cgroups of their own, in the machine's real cgroup tree; needs root, as systemd's delegation does."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from sparkd.engines.engine import Exit
from sparkd.machine.cgroups import Cgroups, cgroup_of
from sparkd.machine.log import Log
from sparkd.machine.process import Process
from tests.machine.children import bad, pids_of, python, runs, until


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

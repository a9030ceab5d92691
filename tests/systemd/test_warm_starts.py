"""Engines are forked from a launcher under a real systemd: each in a cgroup of its own, and nothing is left of any."""

from __future__ import annotations

from typing import Any

import pytest

from tests.systemd.installation import SERVICE, Installation
from tests.systemd.test_cgroups import UNIT, find_cgroup, folders

MODEL = {"runtime": "fake", "source": "/srv/lab/warm/source", "memory": "2 GiB", "stop_grace": 0.5}


@pytest.fixture
def warm(sparkd: Installation) -> Installation:
    """Return the installation with two models of the stand-in for vLLM."""
    for kind, target in (("venvs", "/opt/sparkd/current/venvs"), ("runtimes", "/opt/sparkd/runtimes")):
        sparkd.lab.run("sh", "-c", f"cp -R /srv/lab/warm/{kind}/fake* {target}/")
    sparkd.catalogue({"a": MODEL, "b": MODEL})
    return sparkd


def launcher(sparkd: Installation) -> dict[str, Any]:
    (status,) = sparkd.status()["launchers"]
    found: dict[str, Any] = status
    return found


def test_each_forked_engine_has_a_cgroup_of_its_own_and_the_limits_of_an_engine(warm: Installation) -> None:
    try:
        assert [warm.chat(model)[0] for model in ("a", "b")] == [200, 200]
        assert [warm.model(model)["start"] for model in ("a", "b")] == ["warm", "warm"]
        launching = launcher(warm)["pid"]
        engines = [warm.engine_pid(model) for model in ("a", "b")]
        assert find_cgroup(warm, engines[0]).startswith(f"{UNIT}/sparkd-engine-a-")
        assert find_cgroup(warm, engines[1]).startswith(f"{UNIT}/sparkd-engine-b-")
        assert find_cgroup(warm, launching).startswith(f"{UNIT}/sparkd-engine-launcher-fake-")
        for pid in (launching, *engines):
            assert warm.lab.run("cat", f"/proc/{pid}/oom_score_adj").stdout == "500\n"
            parent = warm.lab.run("ps", "-o", "ppid=", "-p", str(pid)).stdout
            assert int(parent) == warm.pid()
        core = warm.lab.run("pgrep", "--parent", str(engines[0])).stdout.split()
        assert find_cgroup(warm, int(core[0])) == find_cgroup(warm, engines[0])
        warm.lab.run("kill", "-KILL", str(launching))
        assert warm.chat("a")[0] == 200
        warm.lab.run("sparkctl", "stop", "a")
        assert not [name for name in folders(warm) if name.startswith("sparkd-engine-a-")]
        assert "defunct" not in warm.lab.run("ps", "-e", "-o", "args=").stdout
    finally:
        warm.lab.run("systemctl", "stop", SERVICE)
        warm.catalogue(warm.models())
    assert warm.list_processes() == []


def test_an_upgrade_without_unloading_keeps_the_launcher(warm: Installation) -> None:
    try:
        assert warm.chat("a")[0] == 200
        before = launcher(warm)["pid"], warm.engine_pid("a"), warm.pid()
        warm.lab.run("sparkctl", "reexec")
        assert (launcher(warm)["pid"], warm.engine_pid("a"), warm.pid()) == before
        assert warm.chat("b")[0] == 200
        assert warm.model("b")["start"] == "warm"
        assert launcher(warm)["pid"] == before[0]
    finally:
        warm.lab.run("systemctl", "stop", SERVICE)
        warm.catalogue(warm.models())
    assert warm.list_processes() == []

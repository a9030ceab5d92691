"""The cgroups of daemon and engines, with and without delegation."""

from __future__ import annotations

from pathlib import Path

from tests.systemd.installation import SERVICE, Installation

UNIT = "/sparkd.slice/sparkd.service"


def find_cgroup(sparkd: Installation, pid: int) -> str:
    return sparkd.lab.run("cat", f"/proc/{pid}/cgroup").stdout.splitlines()[-1].removeprefix("0::")


def tree(sparkd: Installation) -> Path:
    return sparkd.lab.path(f"/sys/fs/cgroup{UNIT}")


def folders(sparkd: Installation) -> list[str]:
    return [path.name for path in tree(sparkd).iterdir() if path.is_dir()]


def test_daemon_and_engines_have_cgroups_of_their_own_under_the_delegated_one(sparkd: Installation) -> None:
    assert sparkd.chat("a")[0] == 200
    assert sparkd.lab.show(SERVICE, "Delegate")["Delegate"] == "yes"
    assert find_cgroup(sparkd, sparkd.pid()) == f"{UNIT}/daemon"
    assert find_cgroup(sparkd, sparkd.engine_pid("a")).startswith(f"{UNIT}/sparkd-engine-a-")
    assert (tree(sparkd) / "cgroup.procs").read_text() == ""
    assert sparkd.lab.run("sparkctl", "stop", "a").returncode == 0
    assert folders(sparkd) == ["daemon"]


def test_engines_get_weights_and_figures_from_the_machines_controllers(
    sparkd: Installation,
) -> None:
    models = sparkd.models()
    models["a"]["cpu_weight"] = 300
    sparkd.catalogue(models)
    try:
        assert sparkd.chat("a")[0] == 200
        there = set((tree(sparkd) / "cgroup.controllers").read_text().split()) & {"cpu", "memory", "pids"}
        assert set((tree(sparkd) / "cgroup.subtree_control").read_text().split()) >= there
        engine = tree(sparkd).parent.parent / find_cgroup(sparkd, sparkd.engine_pid("a")).lstrip("/")
        for folder, weight in ((engine, "300\n"), (tree(sparkd) / "daemon", "10000\n")):
            file = folder / "cpu.weight"
            assert (file.read_text() if file.exists() else None) == (weight if "cpu" in there else None)
        output = sparkd.model("a")
        for figure in ("host_memory", "host_memory_peak"):
            assert (output[figure] is not None) == ("memory" in there)
        doctor = sparkd.lab.run("sparkctl", "doctor", check=False).stdout
        assert "sparkd.service has its cgroup delegated" in doctor
        messages = sparkd.lab.journal("EVENT=cgroups", f"_PID={sparkd.pid()}")
        assert len(messages) == (len(there) < 3)
    finally:
        sparkd.catalogue(sparkd.models())


def test_without_delegation_engines_are_stopped_too_and_one_warning_explains_it(
    sparkd: Installation,
) -> None:
    with sparkd.override("Delegate=no"):
        sparkd.catalogue(sparkd.models("--fork-grandchildren", "2", "--deaf"))
        try:
            for model in ("a", "b", "a"):
                assert sparkd.chat(model)[0] == 200
            assert find_cgroup(sparkd, sparkd.pid()) == find_cgroup(sparkd, sparkd.engine_pid("a")) == UNIT
            ours = f"_PID={sparkd.pid()}"
            (warning,) = sparkd.lab.journal("--priority=warning", ours)
            assert warning["EVENT"] == "cgroups"
            assert "run `sudo systemctl edit sparkd.service` and add it under [Service]" in warning["MESSAGE"]
            for model in ("a", "b"):
                sparkd.lab.run("sparkctl", "stop", model)
            assert len(sparkd.list_processes()) == 1
            doctor = sparkd.lab.run("sparkctl", "doctor", check=False).stdout
            assert "the cgroup of sparkd.service is not delegated" in doctor
        finally:
            sparkd.catalogue(sparkd.models())
            sparkd.reset()


def test_systemctl_kill_reaches_daemon_and_engines_and_the_next_daemon_starts_clean(
    sparkd: Installation,
) -> None:
    assert sparkd.chat("a")[0] == 200
    before = sparkd.pid(), sparkd.engine_pid("a")
    sparkd.lab.run("systemctl", "kill", "--signal=KILL", SERVICE)
    sparkd.lab.wait_until("all of its processes have exited", lambda: sparkd.pid() != before[0])
    assert not any(sparkd.lab.path(f"/proc/{pid}").exists() for pid in before)
    assert sparkd.chat("a")[0] == 200
    assert {name.partition("-")[0] for name in folders(sparkd)} == {"daemon", "sparkd"}
    assert len(folders(sparkd)) == 2


def test_an_engine_that_outlives_its_unit_does_not_prevent_the_next_daemon_from_starting(
    sparkd: Installation,
) -> None:
    """Such an engine hangs in a driver. If its cgroup had controllers, the next main process could not start in it."""
    with sparkd.override("KillMode=process"):
        assert sparkd.chat("a")[0] == 200
        daemon, engine = sparkd.pid(), sparkd.engine_pid("a")
        sparkd.lab.run("kill", "-KILL", str(daemon))
        sparkd.lab.wait_until("another daemon is there", lambda: sparkd.pid() not in (0, daemon))
        assert sparkd.chat("a")[0] == 200
        assert not sparkd.lab.path(f"/proc/{engine}").exists()
        assert find_cgroup(sparkd, sparkd.pid()) == f"{UNIT}/daemon"
        assert len(folders(sparkd)) == 2

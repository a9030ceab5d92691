"""Engines that really allocate memory, and a guard that acts on this machine's real figures."""

from __future__ import annotations

import signal
import subprocess
from functools import partial
from pathlib import Path

import pytest

from sparkd.machine.meminfo import read_meminfo
from tests.e2e.conftest import Build
from tests.e2e.sparkd_process import SparkdProcess, engine, wait_until
from tests.machine.drivers import Driver, build_driver

GIB = 1024**3


def floor_below_now() -> int:
    """Return a floor below what is available now but far above zero, so that no test has to fill the machine."""
    return read_meminfo().available // 8 * 7


def test_a_start_that_uses_too_much_memory_is_killed_at_once_and_reported(build: Build) -> None:
    hoarder = engine("--hoard", str(GIB), "--fork-grandchildren", "1", memory="16 MiB")
    floor = floor_below_now()
    sparkd = build(
        {"a": hoarder, "calm": engine(memory="16 MiB")},
        memory={"total": "10 GiB", "reserve": 0, "floor": floor},
        failures={"backoff": 0.2, "backoff_max": 0.2},
    )
    assert sparkd.chat("calm").status_code == 200
    answer = sparkd.chat("a")
    assert answer.status_code == 503
    assert "the memory guard killed it" in answer.json()["error"]["message"]
    wait_until("all of its processes have exited", lambda: len(sparkd.processes()) == 1)
    assert sparkd.model("calm").state == "ready"
    assert 'The memory guard killed model "a": ' in sparkd.log()
    acted = sparkd.status().memory.last_guard_action
    assert acted is not None
    assert (acted.model, acted.seconds_ago < 60) == ("a", True)
    assert " → " in sparkd.log()
    wait_until("the backoff has ended", lambda: sparkd.model("a").state == "stopped")
    wait_until("its memory is released", lambda: (sparkd.status().memory.available or 0) > floor + GIB, 60)
    again = sparkd.chat("a")
    assert (
        "is quarantined after 2 failures in a row: the memory guard killed it"
        in again.json()["error"]["message"]
    )
    assert sparkd.model("a").quarantined


def test_a_model_that_does_not_fit_the_machine_is_rejected_without_a_start(build: Build) -> None:
    sparkd = build(
        {"a": engine(memory="4 GiB")},
        memory={"total": "10 GiB", "reserve": 0, "floor": read_meminfo().available - GIB},
    )
    answer = sparkd.chat("a")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "insufficient_memory")
    assert answer.headers["retry-after"]
    assert "Starting model" not in sparkd.log()


def test_status_shows_available_memory(build: Build) -> None:
    sparkd = build({"a": engine()})
    memory = sparkd.status().memory
    assert memory.available is not None
    assert abs(memory.available - read_meminfo().available) < 2**31
    assert memory.floor == 10 * GIB // 16


def use_driver(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the next sparkd that starts find this driver."""
    for name, value in driver.environment.items():
        monkeypatch.setenv(name, value)


def test_on_a_gb10_a_model_has_stopped_when_its_memory_is_released(
    build: Build, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The driver is fake, the memory is real."""
    use_driver(build_driver(folder, "gb10"), monkeypatch)
    sparkd = build({"a": engine("--allocate", str(GIB), memory="2 GiB")})
    assert sparkd.chat("a").status_code == 200
    wait_until("its memory has been measured", lambda: (sparkd.model("a").memory_used or 0) > GIB)
    before = read_meminfo().available
    assert sparkd.sparkctl("stop", "a").returncode == 0
    assert read_meminfo().available > before + GIB // 2


def test_a_driver_that_is_reloaded_breaks_nothing(
    build: Build, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = build_driver(folder, "h100")
    use_driver(driver, monkeypatch)
    sparkd = build({"a": engine()}, memory={"reserve": "8 GiB"})
    assert sparkd.status().memory.total == 80 * GIB
    assert sparkd.chat("a").status_code == 200
    driver.set_kind("gone")
    wait_until("sparkd sees that the GPU is gone", lambda: sparkd.status().memory.available is None)
    assert sparkd.chat("a").status_code == 200
    sparkd.sparkctl("stop", "a")
    assert sparkd.chat("a").status_code == 200
    assert "NVML stopped answering: GPU is lost" in sparkd.log()
    assert sparkd.stop() == 0
    sparkd.assert_nothing_left()


def memory_held(sparkd: SparkdProcess, model: str) -> int | None:
    return sparkd.model(model).memory_used


LEARN = {"total": "10 GiB", "reserve": 0, "learn": True}


def test_two_models_that_fit_with_learned_footprints_stay_loaded(build: Build) -> None:
    sparkd = build(
        {name: engine("--allocate", str(GIB // 4), memory="8 GiB", min_residency=0.0) for name in ("a", "b")},
        memory=LEARN,
    )
    for name in ("a", "b", "a"):
        assert sparkd.chat(name).status_code == 200
        wait_until("it has been measured", partial(memory_held, sparkd, name))
    assert {sparkd.model(name).state for name in ("a", "b")} == {"ready"}, "a fits beside b by now"
    learned = sparkd.model("a")
    assert (learned.declared, learned.basis) == (8 * GIB, "learned")
    assert learned.learned is not None
    assert 0 <= learned.footprint - learned.learned < GIB // 64, (
        "learned, or the little more that it has this time"
    )
    assert GIB // 4 < learned.learned < GIB // 2
    assert learned.last_run is not None
    assert learned.last_run.peak == learned.learned
    assert learned.last_run.load_time > 0


def test_learned_figures_outlive_sparkd_but_not_a_change_of_the_definition(build: Build) -> None:
    sparkd = build({"a": engine("--allocate", str(GIB // 4), memory="8 GiB")}, memory=LEARN)
    sparkd.chat("a")
    wait_until("it has been measured", lambda: sparkd.model("a").memory_used)
    sparkd.sparkctl("stop", "a")
    learned = sparkd.model("a").learned
    assert learned
    assert sparkd.stop() == 0
    sparkd.start()
    assert sparkd.model("a").learned == learned
    assert sparkd.stop() == 0
    sparkd.catalogue.write_text(sparkd.catalogue.read_text().replace(str(GIB // 4), str(GIB // 2)))
    sparkd.start()
    assert sparkd.model("a").learned is None
    assert sparkd.model("a").basis == "declared"


def test_the_plan_predicts_what_happens(build: Build) -> None:
    sparkd = build({name: engine(memory="6 GiB", min_residency=0.0) for name in ("a", "b")})
    assert sparkd.chat("a").status_code == 200
    plan = sparkd.sparkctl("plan", "b")
    assert (plan.returncode, plan.stdout.splitlines()[:2]) == (
        0,
        ["b would be loaded", "stopped for it: a"],
    )
    assert sparkd.model("a").state == "ready", "a plan changes nothing"
    assert sparkd.chat("b").status_code == 200
    assert sparkd.model("a").state == "stopped"
    assert sparkd.sparkctl("plan", "b").stdout.startswith("b is ready")


def test_a_model_that_uses_more_than_it_reserved_is_counted_with_what_it_uses(build: Build) -> None:
    sparkd = build({"a": engine("--allocate", str(GIB // 2), memory="64 MiB")})
    sparkd.chat("a")
    wait_until("it has been measured", lambda: sparkd.model("a").footprint > GIB // 2)
    assert sparkd.status().memory.reserved == sparkd.model("a").footprint


def test_a_model_that_was_starting_when_sparkd_was_killed_stays_in_quarantine(
    build: Build, folder: Path
) -> None:
    sparkd = build({"slow": engine("--start-gate", str(folder / "never")), "quick": engine()})
    load = subprocess.Popen([*sparkd.command("load", "slow")], stdout=-1, stderr=-1)
    sparkd.until("slow", "starting")
    wait_until("its process runs", sparkd.processes)
    sparkd.stop(signal.SIGKILL)
    load.communicate()
    sparkd.start()
    answer = sparkd.chat("slow")
    assert answer.status_code == 503
    assert "sparkd was killed while this model was starting" in answer.json()["error"]["message"]
    assert "retry-after" not in answer.headers
    assert 'Model "slow" is in quarantine' in sparkd.log()
    assert sparkd.chat("quick").status_code == 200
    assert sparkd.stop() == 0
    sparkd.start()
    assert sparkd.model("slow").quarantined, "another restart does not lift it"
    assert sparkd.sparkctl("retry", "slow").returncode == 0
    assert sparkd.stop() == 0
    sparkd.start()
    assert sparkd.model("slow").state == "stopped"

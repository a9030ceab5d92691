"""Engines start from a launcher, under a whole sparkd with a stand-in for vLLM."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from tests.e2e.conftest import Build
from tests.e2e.sparkd_process import wait_until, watched_pids
from tests.e2e.warm_runtime import (
    WarmRuntime,
    engine_pid,
    launcher_of,
    text,
    wait_for_launcher,
    wait_for_launcher_process,
)


def test_engines_are_forked_from_one_launcher(build: Build, runtime: WarmRuntime) -> None:
    sparkd = build({"a": runtime.model(), "b": runtime.model()}, paths=runtime.paths)
    assert text(sparkd, "a") == text(sparkd, "b") == "one two three"
    launcher = wait_for_launcher(sparkd)
    assert launcher.starts == 2
    assert sparkd.log().count('The launcher of runtime "fake" is ready') == 1
    assert (sparkd.model("a").start, sparkd.model("b").start) == ("warm", "warm")
    core = [child for child in sparkd.processes() if "EngineCor" in child.name()]
    assert len(core) == 2


def test_a_model_may_start_cold_by_choice(build: Build, runtime: WarmRuntime) -> None:
    sparkd = build({"a": runtime.model(warm=False)}, paths=runtime.paths)
    assert text(sparkd, "a") == "one two three"
    assert (sparkd.model("a").start, sparkd.model("a").cold_reason) == ("cold", "warm = false")
    assert launcher_of(sparkd) is None


def test_a_model_that_sets_what_was_read_at_the_import_starts_cold(
    build: Build, runtime: WarmRuntime
) -> None:
    sparkd = build({"a": runtime.model(environment={"OMP_NUM_THREADS": "7"})}, paths=runtime.paths)
    assert text(sparkd, "a") == "one two three"
    assert sparkd.model("a").cold_reason == (
        "the model sets OMP_NUM_THREADS, which is read when the engine's modules are imported"
    )


def test_ten_models_requested_at_once_start_from_one_launcher(build: Build, runtime: WarmRuntime) -> None:
    models = {f"m{number}": runtime.model() for number in range(10)}
    memory = {"total": "14 GiB", "reserve": 0, "learn": False}
    sparkd = build(models, paths=runtime.paths, memory=memory)
    with ThreadPoolExecutor(10) as pool:
        assert set(pool.map(lambda model: text(sparkd, model), models)) == {"one two three"}
    assert wait_for_launcher(sparkd).starts == 10
    assert {sparkd.model(model).start for model in models} == {"warm"}


def test_no_memory_for_a_launcher_is_a_reason_to_start_cold(build: Build, runtime: WarmRuntime) -> None:
    memory = {"total": "1 GiB", "reserve": 0, "learn": False}
    sparkd = build({"a": runtime.model(memory="900 MiB")}, paths=runtime.paths, memory=memory)
    assert text(sparkd, "a") == "one two three"
    assert sparkd.model("a").cold_reason == "there is no memory for a launcher"


def test_a_launcher_ends_for_a_model_that_needs_its_memory_and_does_not_come_back_at_once(
    build: Build, runtime: WarmRuntime
) -> None:
    memory = {"total": "4 GiB", "reserve": 0, "learn": False}
    models = {"a": runtime.model(), "b": runtime.model(memory="3 GiB")}
    sparkd = build(models, paths=runtime.paths, memory=memory)
    text(sparkd, "a")
    launcher = wait_for_launcher(sparkd)
    wait_until("its memory is counted", lambda: sparkd.status().memory.launchers)
    assert text(sparkd, "b") == "one two three"
    assert "ends: a model needs their memory" in sparkd.log()
    assert sparkd.model("b").cold_reason == "there is no memory for a launcher"
    assert sparkd.model("a").state == "ready"
    assert launcher.pid
    assert not psutil.pid_exists(launcher.pid)
    assert launcher_of(sparkd) is None


# Launchers that fail


def test_a_launcher_killed_while_it_imports_costs_no_request(build: Build, runtime: WarmRuntime) -> None:
    sparkd = build({"a": runtime.model()}, paths=runtime.paths)
    runtime.control("hold-import").touch()
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(text, sparkd, "a")
        launcher = wait_for_launcher_process(sparkd)
        runtime.control("hold-import").unlink()
        os.kill(launcher, signal.SIGKILL)
        assert answer.result(60) == "one two three"
    reason = sparkd.model("a").cold_reason
    assert reason is not None
    assert "SIGKILL" in reason
    assert sparkd.sparkctl("stop", "a").returncode == 0
    assert text(sparkd, "a") == "one two three"
    assert sparkd.model("a").start == "warm", "one failure is no reason to give up"


def test_a_launcher_killed_at_a_fork_costs_no_request(build: Build, runtime: WarmRuntime) -> None:
    sparkd = build({"a": runtime.model(), "b": runtime.model()}, paths=runtime.paths)
    text(sparkd, "a")
    launcher = wait_for_launcher(sparkd).pid
    assert launcher
    os.kill(launcher, signal.SIGSTOP)
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(text, sparkd, "b")
        wait_until("the fork was requested", lambda: 'Starting model "b"' in sparkd.log())
        os.kill(launcher, signal.SIGKILL)
        assert answer.result(60) == "one two three"
    assert text(sparkd, "a") == "one two three", "its engines live on"
    # On a slow machine, the next launcher may be ready before the start that was interrupted begins again.
    assert sparkd.model("b").start == "cold" or wait_for_launcher(sparkd).pid != launcher


def test_engines_live_on_when_their_launcher_is_killed_and_the_next_start_is_warm(
    build: Build, runtime: WarmRuntime
) -> None:
    sparkd = build({"a": runtime.model(), "b": runtime.model()}, paths=runtime.paths)
    text(sparkd, "a")
    pid, launcher = sparkd.model("a").pid, wait_for_launcher(sparkd).pid
    assert launcher
    os.kill(launcher, signal.SIGKILL)
    wait_until("sparkd has noticed", lambda: launcher_of(sparkd) is None)
    assert text(sparkd, "b") == "one two three"
    assert sparkd.model("b").start == "warm"
    assert wait_for_launcher(sparkd).pid != launcher
    assert sparkd.model("a").pid == pid
    os.kill(engine_pid(sparkd, "a"), signal.SIGKILL)
    assert "killed (SIGKILL)" in str(sparkd.until("a", "backoff").cause)


def test_a_runtime_whose_launcher_fails_twice_starts_cold_until_retry(
    build: Build, runtime: WarmRuntime
) -> None:
    sparkd = build({"a": runtime.model(), "b": runtime.model()}, paths=runtime.paths)
    for model in ("a", "b"):
        runtime.control("hold-import").touch()
        with ThreadPoolExecutor() as pool:
            answer = pool.submit(text, sparkd, model)
            launcher = wait_for_launcher_process(sparkd)
            runtime.control("hold-import").unlink()
            os.kill(launcher, signal.SIGKILL)
            assert answer.result(60) == "one two three"
    assert wait_for_launcher(sparkd, "off").reason.startswith("warm starts of this runtime failed")
    assert "sparkctl retry" in sparkd.sparkctl("doctor").stdout
    assert sparkd.sparkctl("retry", "b").returncode == 0
    assert sparkd.sparkctl("stop", "b").returncode == 0
    assert text(sparkd, "b") == "one two three"
    assert sparkd.model("b").start == "warm"


def test_a_runtime_that_cannot_be_forked_starts_cold_and_says_why(build: Build, runtime: WarmRuntime) -> None:
    runtime.control("start-thread").touch()
    sparkd = build({"a": runtime.model()}, paths=runtime.paths)
    assert text(sparkd, "a") == "one two three"
    reason = sparkd.model("a").cold_reason
    assert reason is not None
    assert "an import started the thread" in reason
    assert "an import started the thread" in wait_for_launcher(sparkd, "off").reason
    assert sparkd.stop() == 0
    sparkd.start()
    assert sparkd.sparkctl("stop", "a").returncode == 0
    assert text(sparkd, "a") == "one two three"
    assert sparkd.log().count("an import started the thread") >= 2
    assert "The launcher of runtime" not in sparkd.log().rpartition("sparkd ")[2]
    runtime.control("start-thread").unlink()
    assert sparkd.sparkctl("retry", "a").returncode == 0
    assert sparkd.sparkctl("stop", "a").returncode == 0
    assert text(sparkd, "a") == "one two three"
    assert sparkd.model("a").start == "warm"


# Warm starts that fail


def test_a_warm_start_that_fails_is_tried_cold_once_and_remembered(
    build: Build, runtime: WarmRuntime
) -> None:
    runtime.control("need-main-file").touch()
    models = {name: runtime.model() for name in ("a", "b", "c")}
    sparkd = build(models, paths=runtime.paths)
    assert text(sparkd, "a") == "one two three"
    assert sparkd.model("a").start == "cold"
    assert sparkd.log().count('The warm start of model "a" failed') == 1
    assert sparkd.sparkctl("stop", "a").returncode == 0
    assert text(sparkd, "a") == "one two three"
    assert sparkd.log().count('The warm start of model "a" failed') == 1, "this definition starts cold now"
    assert launcher_of(sparkd).state == "ready"  # type: ignore[union-attr]
    assert text(sparkd, "b") == "one two three"
    assert sparkd.log().count('The warm start of model "b" failed') == 1
    assert text(sparkd, "c") == "one two three"
    assert 'The warm start of model "c" failed' not in sparkd.log(), "two failures are enough"
    assert wait_for_launcher(sparkd, "off").reason.startswith("warm starts of this runtime failed")

    assert sparkd.stop() == 0
    sparkd.start()
    assert text(sparkd, "c") == "one two three"
    assert sparkd.model("c").start == "cold", "the next sparkd knows"
    runtime.control("need-main-file").unlink()
    assert sparkd.sparkctl("retry", "c").returncode == 0
    assert sparkd.sparkctl("stop", "c").returncode == 0
    assert text(sparkd, "c") == "one two three"
    assert sparkd.model("c").start == "warm"


def test_a_model_that_fails_warm_and_cold_fails_once_and_blames_no_launcher(
    build: Build, runtime: WarmRuntime
) -> None:
    runtime.control("fail-server").touch()
    sparkd = build({"a": runtime.model()}, paths=runtime.paths, failures={"backoff": 300.0})
    answer = sparkd.chat("a")
    assert answer.status_code == 503
    assert sparkd.log().count('The warm start of model "a" failed') == 1
    assert sparkd.log().count('ERROR    Model "a" failed') == 1
    runtime.control("fail-server").unlink()
    assert sparkd.sparkctl("retry", "a").returncode == 0
    assert text(sparkd, "a") == "one two three"
    assert sparkd.model("a").start == "warm"


@pytest.mark.parametrize("point", ["hold-server", "hold-core"])
def test_an_engine_killed_before_it_is_ready_is_started_cold(
    build: Build, runtime: WarmRuntime, point: str
) -> None:
    sparkd = build({"a": runtime.model()}, paths=runtime.paths)
    runtime.control(point).touch()
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(text, sparkd, "a")
        pid = engine_pid(sparkd, "a")
        os.kill(pid, signal.SIGKILL)
        wait_until("it starts again", lambda: sparkd.model("a").pid not in (pid, None))
        runtime.control(point).unlink()
        assert answer.result(60) == "one two three"
    assert sparkd.model("a").start == "cold"
    assert sparkd.model("a").cause is None


def test_the_core_killed_before_the_engine_is_ready_is_noticed_and_started_cold(
    build: Build, runtime: WarmRuntime
) -> None:
    sparkd = build({"a": runtime.model()}, paths=runtime.paths)
    runtime.control("hold-core").touch()
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(text, sparkd, "a")
        pid = engine_pid(sparkd, "a")
        find = lambda: [each for each in sparkd.processes() if "EngineCor" in each.name()]  # noqa: E731
        (core,) = wait_until("the core runs", find)
        wait_until("sparkd watches it", lambda: core.pid in watched_pids(sparkd))
        core.kill()
        wait_until("it starts again", lambda: sparkd.model("a").pid not in (pid, None))
        runtime.control("hold-core").unlink()
        assert answer.result(60) == "one two three"
    assert sparkd.model("a").start == "cold"


def test_a_start_that_is_stopped_is_not_tried_again(build: Build, runtime: WarmRuntime) -> None:
    sparkd = build({"a": runtime.model()}, paths=runtime.paths)
    runtime.control("hold-server").touch()
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(sparkd.chat, "a")
        engine_pid(sparkd, "a")
        assert sparkd.sparkctl("stop", "a").returncode == 0
        assert answer.result(60).status_code == 503
    assert "The warm start" not in sparkd.log()
    runtime.control("hold-server").unlink()
    assert text(sparkd, "a") == "one two three"
    assert sparkd.model("a").start == "warm"


def test_a_model_is_stopped_while_its_launcher_still_imports(build: Build, runtime: WarmRuntime) -> None:
    sparkd = build({"a": runtime.model()}, paths=runtime.paths)
    runtime.control("hold-import").touch()
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(sparkd.chat, "a")
        wait_for_launcher(sparkd, "starting")
        assert sparkd.sparkctl("stop", "a").returncode == 0
        assert answer.result(60).status_code == 503
    sparkd.until("a", "stopped")
    assert sparkd.stop() == 0, "a launcher that imports does not delay the end"
    sparkd.assert_nothing_left()

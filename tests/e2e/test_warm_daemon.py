"""Launchers and their engines outlive a re-exec, end with sparkd, and follow their runtime."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import psutil

from sparkd.catalog.runtime import Runtime
from sparkd.runtimes.definition import fingerprint
from tests.e2e.conftest import Build
from tests.e2e.sparkd_process import SparkdProcess, wait_until
from tests.e2e.warm_runtime import (
    WarmRuntime,
    engine_pid,
    launcher_of,
    text,
    wait_for_launcher,
    wait_for_launcher_process,
)


def replace(sparkd: SparkdProcess) -> None:
    done = sparkd.sparkctl("reexec")
    assert done.returncode == 0, done.stderr + sparkd.log()


def has_exited(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_a_launcher_and_its_engines_are_used_by_the_next_sparkd(build: Build, runtime: WarmRuntime) -> None:
    sparkd = build({"a": runtime.model(), "b": runtime.model()}, paths=runtime.paths)
    text(sparkd, "a")
    pid, launcher = sparkd.model("a").pid, wait_for_launcher(sparkd).pid
    descriptors = psutil.Process(sparkd.process.pid).num_fds()
    for _ in range(2):
        replace(sparkd)
        assert sparkd.model("a").pid == pid
        assert sparkd.model("a").start == "warm"
        assert wait_for_launcher(sparkd).pid == launcher
        assert text(sparkd, "a") == "one two three"
    assert psutil.Process(sparkd.process.pid).num_fds() <= descriptors + 2
    assert text(sparkd, "b") == "one two three"
    assert sparkd.model("b").start == "warm"
    assert wait_for_launcher(sparkd).pid == launcher
    assert sparkd.log().count('The launcher of runtime "fake" is ready') == 1 + 2
    assert sparkd.sparkctl("stop", "a").returncode == 0
    assert text(sparkd, "a") == "one two three"


def test_a_launcher_that_imports_is_handed_over(build: Build, runtime: WarmRuntime) -> None:
    sparkd = build({"a": runtime.model()}, paths=runtime.paths)
    runtime.control("hold-import").touch()
    with sparkd.waiting_client("a"):
        launcher = wait_for_launcher_process(sparkd)
    assert sparkd.sparkctl("stop", "a").returncode == 0
    replace(sparkd)
    assert wait_for_launcher_process(sparkd) == launcher
    runtime.control("hold-import").unlink()
    assert wait_for_launcher(sparkd).pid == launcher
    assert text(sparkd, "a") == "one two three"
    assert sparkd.model("a").start == "warm"


def test_a_start_in_progress_is_handed_over_and_tried_cold_if_it_fails(
    build: Build, runtime: WarmRuntime
) -> None:
    sparkd = build({"a": runtime.model()}, paths=runtime.paths)
    runtime.control("hold-core").touch()
    with sparkd.waiting_client("a"):
        pid = engine_pid(sparkd, "a")
    replace(sparkd)
    assert sparkd.model("a").pid == pid
    os.kill(pid, signal.SIGKILL)
    wait_until("it starts again", lambda: sparkd.model("a").pid not in (pid, None))
    runtime.control("hold-core").unlink()
    assert text(sparkd, "a") == "one two three"
    assert sparkd.model("a").start == "cold"


def test_the_next_sparkd_ends_what_a_killed_one_has_left(build: Build, runtime: WarmRuntime) -> None:
    sparkd = build({"a": runtime.model(), "b": runtime.model()}, paths=runtime.paths)
    text(sparkd, "a")
    launcher = wait_for_launcher(sparkd).pid
    assert launcher
    before = [process.pid for process in sparkd.processes()]
    assert len(before) >= 3
    assert launcher in before
    sparkd.stop(signal.SIGKILL)
    sparkd.start()
    wait_until("all have ended", lambda: all(map(has_exited, before)))
    assert text(sparkd, "b") == "one two three"
    assert wait_for_launcher(sparkd).pid != launcher


def test_a_launcher_that_imports_ends_with_a_killed_sparkd(build: Build, runtime: WarmRuntime) -> None:
    sparkd = build({"a": runtime.model()}, paths=runtime.paths)
    runtime.control("hold-import").touch()
    with sparkd.waiting_client("a"):
        launcher = wait_for_launcher_process(sparkd)
        sparkd.stop(signal.SIGKILL)
    sparkd.start()
    wait_until("it has ended", lambda: has_exited(launcher))
    runtime.control("hold-import").unlink()
    assert sparkd.sparkctl("retry", "a").returncode == 0  # it was starting when sparkd was killed
    assert text(sparkd, "a") == "one two three"


def test_a_rebuilt_runtime_gets_a_launcher_of_its_own(build: Build, runtime: WarmRuntime) -> None:
    sparkd = build({"a": runtime.model(), "b": runtime.model()}, paths=runtime.paths)
    text(sparkd, "a")
    pid, launcher = sparkd.model("a").pid, wait_for_launcher(sparkd).pid
    assert launcher
    replace(sparkd)  # the next launcher must not get the folder of this one
    runtime.rebuild()
    assert text(sparkd, "b") == "one two three"
    assert sparkd.model("b").start == "warm"
    assert wait_for_launcher(sparkd).pid != launcher
    wait_until("the old one has ended", lambda: has_exited(launcher))
    assert "its runtime has changed" in sparkd.log()
    assert sparkd.model("a").pid == pid, "its engines live on"
    assert len(list((sparkd.folder / "run" / "engines").glob("launcher-fake-*.json"))) == 1


def test_a_runtime_that_is_rolled_back_gets_a_launcher_of_its_own(build: Build, runtime: WarmRuntime) -> None:
    new, digest = runtime.folder, fingerprint(Runtime(name="fake", folder=runtime.venvs / "fake"))
    old = runtime.build("3.10")
    runtime.folder = new
    runtime.touch_record(digest, "3.11", created=2.0)
    sparkd = build({"a": runtime.model(), "b": runtime.model()}, paths=runtime.paths)
    text(sparkd, "a")
    launcher = wait_for_launcher(sparkd).pid
    assert launcher
    assert psutil.Process(launcher).environ()["VIRTUAL_ENV"] == str(new)
    done = sparkd.sparkctl("runtime", "rollback", "fake")
    assert done.returncode == 0, done.stderr
    assert text(sparkd, "b") == "one two three"
    assert sparkd.model("b").start == "warm"
    status = wait_for_launcher(sparkd)
    assert psutil.Process(status.pid).environ()["VIRTUAL_ENV"] == str(old)
    wait_until("the old one has ended", lambda: has_exited(launcher))


# Preparation


def rivals(runtime: WarmRuntime, gate: str) -> dict[str, object]:
    """Two models that do not fit together. The answers of "a" wait for a file."""
    return {
        "a": runtime.model(memory="6 GiB", options={"chunk-gate": gate}),
        "b": runtime.model(memory="6 GiB"),
    }


def start_rivals(build: Build, runtime: WarmRuntime) -> SparkdProcess:
    gate = runtime.control("chunk-gate")
    gate.touch()
    sparkd = build(rivals(runtime, str(gate)), paths=runtime.paths)
    text(sparkd, "a")
    gate.unlink()
    return sparkd


def prepared_pid(sparkd: SparkdProcess) -> int:
    """Return the PID of the prepared engine of "b", the second one that was forked."""

    def find() -> int | None:
        launcher = launcher_of(sparkd)
        if launcher is None or launcher.starts < 2:
            return None  # sparkd does not know of the fork yet
        for process in sparkd.processes():
            with suppress(psutil.NoSuchProcess):
                if Path(process.cwd()).name.startswith("b-"):
                    return process.pid
        return None

    pid: int = wait_until("b is prepared", find)
    return pid


def test_the_next_model_starts_while_its_rival_finishes(build: Build, runtime: WarmRuntime) -> None:
    sparkd = start_rivals(build, runtime)
    with ThreadPoolExecutor() as pool, sparkd.streaming("a") as lines:
        next(lines)
        answer = pool.submit(text, sparkd, "b")
        pid = prepared_pid(sparkd)
        wait_until("it waits", lambda: "Resolved architecture" in prepared_log(sparkd))
        assert sparkd.model("a").state == "draining"
        assert "Initializing" not in prepared_log(sparkd), "its core waits for the memory of the other"
        runtime.control("chunk-gate").touch()
        assert list(lines)[-1] == "data: [DONE]"
        assert answer.result(60) == "one two three"
    assert sparkd.model("b").pid == pid
    assert sparkd.model("b").start == "warm"
    sparkd.until("a", "stopped")


def prepared_log(sparkd: SparkdProcess) -> str:
    logs = (sparkd.folder / "state" / "logs").glob("b.*.log")
    return "".join(log.read_text() for log in logs)


def test_a_preparation_ends_when_nobody_waits_for_it(build: Build, runtime: WarmRuntime) -> None:
    sparkd = start_rivals(build, runtime)
    with sparkd.streaming("a") as lines:
        next(lines)
        with sparkd.waiting_client("b"):
            pid = prepared_pid(sparkd)
        wait_until("it is discarded", lambda: has_exited(pid))
        runtime.control("chunk-gate").touch()
        assert list(lines)[-1] == "data: [DONE]"
    assert "Discarding the preparation" in sparkd.log()
    assert text(sparkd, "b") == "one two three"
    assert sparkd.model("b").start == "warm"


def test_a_prepared_engine_that_is_killed_at_its_gate_costs_no_request(
    build: Build, runtime: WarmRuntime
) -> None:
    sparkd = start_rivals(build, runtime)
    with ThreadPoolExecutor() as pool, sparkd.streaming("a") as lines:
        next(lines)
        answer = pool.submit(text, sparkd, "b")
        pid = prepared_pid(sparkd)
        wait_until("it waits", lambda: "Resolved architecture" in prepared_log(sparkd))
        os.kill(pid, signal.SIGKILL)
        runtime.control("chunk-gate").touch()
        assert list(lines)[-1] == "data: [DONE]"
        assert answer.result(60) == "one two three"


def test_a_preparation_whose_launcher_is_killed_costs_no_request(build: Build, runtime: WarmRuntime) -> None:
    sparkd = start_rivals(build, runtime)
    launcher = wait_for_launcher(sparkd).pid
    assert launcher
    with ThreadPoolExecutor() as pool, sparkd.streaming("a") as lines:
        next(lines)
        answer = pool.submit(text, sparkd, "b")
        pid = prepared_pid(sparkd)
        os.kill(launcher, signal.SIGKILL)
        wait_until("it has ended", lambda: launcher_of(sparkd) is None)
        runtime.control("chunk-gate").touch()
        assert list(lines)[-1] == "data: [DONE]"
        assert answer.result(60) == "one two three"
    assert sparkd.model("b").pid == pid, "its engines live on"


def test_a_shutdown_during_a_preparation_leaves_nothing(build: Build, runtime: WarmRuntime) -> None:
    sparkd = start_rivals(build, runtime)
    with sparkd.streaming("a") as lines, sparkd.waiting_client("b"):
        next(lines)
        pid = prepared_pid(sparkd)
        sparkd.process.send_signal(signal.SIGTERM)
        runtime.control("chunk-gate").touch()
        assert list(lines)[-1] == "data: [DONE]"
        assert sparkd.process.wait(60) == 0
    assert has_exited(pid)
    sparkd.assert_nothing_left()


def test_a_reexec_during_a_preparation_answers_and_hands_over_the_next_model(
    build: Build, runtime: WarmRuntime
) -> None:
    sparkd = start_rivals(build, runtime)
    with ThreadPoolExecutor() as pool, sparkd.streaming("a") as lines:
        next(lines)
        answer = pool.submit(text, sparkd, "b")
        pid = prepared_pid(sparkd)
        replacing = pool.submit(replace, sparkd)
        wait_until("it has begun", lambda: sparkd.status().replacing)
        runtime.control("chunk-gate").touch()
        assert list(lines)[-1] == "data: [DONE]"
        assert answer.result(60) == "one two three"
        replacing.result(120)
    assert sparkd.model("b").pid == pid
    assert sparkd.model("b").start == "warm"
    assert text(sparkd, "b") == "one two three"

"""What may happen between one sparkd and the next, a moment that is held open here for as long as a test likes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.e2e.conftest import Build
from tests.e2e.house import House, engine, wait_until
from tests.e2e.test_reload import text, write

ROOT = Path(__file__).resolve().parent.parent.parent

WAITS = """\
import os, time
if "SPARKD_HANDOVER" in os.environ:
    open({folder!r} + "/between", "w").close()
    while not os.path.exists({folder!r} + "/on"):
        time.sleep(0.01)
"""

Open = Callable[..., House]


@pytest.fixture
def opened(folder: Path) -> Iterator[Open]:
    """A sparkd whose successor, before anything else, waits to be told to go on."""
    (folder / "site").mkdir()
    (folder / "site" / "sitecustomize.py").write_text(WAITS.format(folder=str(folder)))
    built: list[House] = []

    def start(models: dict[str, Any], **settings: Any) -> House:
        house = House(folder, {"models": models, **settings})
        house.start({**os.environ, "PYTHONPATH": f"{folder / 'site'}:{ROOT}"})
        built.append(house)
        return house

    yield start
    (folder / "on").touch()
    for house in built:
        if house.process.poll() is None:
            assert house.stop() == 0, house.log()
            house.assert_nothing_left()


@contextmanager
def between(house: House) -> Iterator[None]:
    """One sparkd is gone, the next one has not begun; at the end of the scene it does."""
    with subprocess.Popen(
        house.command("reexec"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as asked:
        try:
            wait_until("one is gone", (house.folder / "between").exists)
            yield
        finally:
            (house.folder / "on").touch()
            wait_until(
                "it is told, or nobody is there", lambda: asked.poll() is not None or house.process.poll()
            )
            asked.kill()


def test_an_order_to_end_that_comes_between_is_carried_out(opened: Open) -> None:
    house = opened({"a": engine("--fork-grandchildren", "1")})
    text(house, "a")
    with between(house):
        house.process.send_signal(signal.SIGTERM)
    assert house.process.wait(20) == 0
    house.assert_nothing_left()


def test_an_order_to_read_the_catalogue_that_comes_between_is_carried_out(opened: Open) -> None:
    house = opened({"a": engine()})
    text(house, "a")
    with between(house):
        house.process.send_signal(signal.SIGHUP)
    wait_until("it is read", lambda: "catalogue read again: nothing has changed" in house.log())
    assert house.log().count("starting (run") == 1


def test_an_engine_that_dies_between_is_noticed_and_buried(opened: Open) -> None:
    house = opened({"a": engine()})
    text(house, "a")
    pid = house.model("a").pid
    assert pid
    with between(house):
        os.kill(pid, signal.SIGKILL)
    house.until("a", "backoff")
    assert "the engine was killed (SIGKILL)" in (house.model("a").cause or "")
    wait_until("it is buried", lambda: not psutil.pid_exists(pid))


def test_another_sparkd_that_starts_between_is_sent_away(opened: Open) -> None:
    house = opened({"a": engine()})
    text(house, "a")
    command = [sys.executable, "-m", "sparkd", "--catalogue", str(house.catalogue)]
    with between(house):
        other = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    assert f"another sparkd (PID {house.process.pid}) runs in" in other.stderr
    assert text(house, "a") == "one two three"
    assert house.log().count("starting (run") == 1


def test_a_start_that_fails_after_all_leaves_no_engine(opened: Open) -> None:
    house = opened({"a": engine("--fork-grandchildren", "1", "--fork-runaways", "1")})
    text(house, "a")
    with between(house):
        house.catalogue.write_text("no catalogue any more")
    assert house.process.wait(20) == 78
    wait_until("nothing is left", lambda: not house.processes())


def test_an_engine_that_has_closed_its_output_goes_on(build: Build) -> None:
    quiet = engine()
    quiet["command"] = ["/bin/sh", "-c", 'exec "$@" >/dev/null 2>&1', "sh", *quiet["command"]]
    house = build({"a": quiet})
    text(house, "a")
    descriptors = psutil.Process(house.process.pid).num_fds()
    for _ in range(2):
        assert house.ctl("reexec").returncode == 0, house.log()
    assert text(house, "a") == "one two three"
    assert house.log().count("starting (run") == 1
    assert psutil.Process(house.process.pid).num_fds() <= descriptors + 2


def test_a_load_cannot_hold_up_what_has_begun_and_is_started_by_the_next_sparkd(build: Build) -> None:
    """Even one that comes when nobody may wait any longer."""
    house = build(
        {"a": engine("--pace", "0.2"), "b": engine("--start-delay", "1")}, defaults={"drain_timeout": 1}
    )
    text(house, "b")
    house.ctl("stop", "b")
    with house.streaming("a", " ".join(["more"] * 40)) as lines:
        next(lines)
        with subprocess.Popen(
            house.command("reexec"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as asked:
            wait_until("it has begun", lambda: house.status().replacing)
            while asked.poll() is None:
                house.ctl("load", "b")
    assert house.status().replaced == 1
    assert text(house, "b") == "one two three"


def test_what_a_run_has_shown_is_not_taken_for_what_a_new_definition_takes(build: Build) -> None:
    settings = {"memory": {"total": "10 GiB", "reserve": 0, "learn": True}}
    house = build({"a": engine("--allocate", str(2**27))}, **settings)
    text(house, "a")
    wait_until("it has been measured", lambda: house.model("a").held)
    write(house, {"a": engine("--allocate", str(2**20))}, **settings)
    house.ctl("reload")
    house.until("a", "stopped")
    assert house.model("a").learned is None


def test_an_engine_that_the_next_sparkd_starts_knows_nothing_of_it(build: Build) -> None:
    house = build({"a": engine(), "b": engine()})
    text(house, "a")
    assert house.ctl("reexec").returncode == 0
    for name in ("a", "b"):  # each has a connection open then
        text(house, name)
    before, after = (psutil.Process(house.model(name).pid) for name in ("a", "b"))
    assert after.environ().keys() == before.environ().keys()
    assert after.num_fds() == before.num_fds()
    masks = [
        [line for line in Path(f"/proc/{each.pid}/status").read_text().splitlines() if line.startswith("Sig")]
        for each in (before, after)
    ]
    assert masks[0][1:] == masks[1][1:], "an engine that hears no SIGTERM ends by SIGKILL"

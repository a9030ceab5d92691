"""What a real sparkd has recorded outlives its kills, stops and replacements."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cli.running import sparkctl
from tests.e2e.sparkd_process import SparkdProcess, engine, wait_until


@pytest.fixture
def sparkd() -> Iterator[SparkdProcess]:
    models = {
        "a": engine(),
        "b": {**engine(), "memory": "6 GiB"},
        "c": {**engine(), "memory": "6 GiB"},
    }
    with tempfile.TemporaryDirectory(prefix="sparkd-rec-") as folder:
        sparkd = SparkdProcess(Path(folder), {"models": models})
        sparkd.start()
        yield sparkd
        if sparkd.process.poll() is None:
            sparkd.stop()
        sparkd.assert_nothing_left()


def ask(sparkd: SparkdProcess, model: str) -> int:
    body = {"model": model, "messages": [{"role": "user", "content": "hello"}]}
    address = f"http://127.0.0.1:{sparkd.port}/v1/chat/completions"
    return httpx.post(address, json=body, headers={"host": "localhost"}, timeout=60).status_code


def recorded(sparkd: SparkdProcess, query: str = "SELECT model FROM requests ORDER BY number") -> list[Any]:
    """Rows of the file, as the sqlite3 command would show them."""
    path = sparkd.folder / "state" / "usage.sqlite"
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
        return [row[0] for row in connection.execute(query)]


def test_a_kill_loses_at_most_the_last_second(sparkd: SparkdProcess) -> None:
    assert [ask(sparkd, model) for model in ("a", "b", "a")] == [200, 200, 200]
    time.sleep(1.0)
    os.kill(sparkd.process.pid, signal.SIGKILL)
    sparkd.process.wait()
    assert recorded(sparkd) == ["a", "b", "a"]
    assert recorded(sparkd, "SELECT count(*) FROM changes") == [4]
    without_daemon = sparkctl("requests", cwd=sparkd.folder)
    assert without_daemon.out.count("/v1/chat/completions") == 3
    assert "sparkd is not running; this is from " in without_daemon.err
    sparkd.start()
    history = sparkctl("history", cwd=sparkd.folder).out
    assert "sparkd killed" in history


def test_a_stop_and_a_replacement_lose_nothing(sparkd: SparkdProcess) -> None:
    assert ask(sparkd, "a") == 200
    assert sparkctl("reexec", cwd=sparkd.folder).code == 0
    wait_until("the next program serves", lambda: sparkd.status().replacements == 1)
    assert recorded(sparkd) == ["a"]
    assert ask(sparkd, "a") == 200
    ended = time.monotonic()
    sparkd.stop()
    assert time.monotonic() - ended < 60
    assert recorded(sparkd) == ["a", "a"]
    states = recorded(sparkd, "SELECT state FROM changes WHERE model = 'a' ORDER BY number")
    assert states == ["starting", "ready", "draining", "stopping", "stopped"]
    reasons = recorded(sparkd, "SELECT DISTINCT text FROM changes WHERE stop_reason IS NOT NULL")
    assert reasons == ["sparkd is stopping"]
    assert recorded(sparkd, "SELECT count(*) FROM sessions WHERE ended IS NULL") == [0]
    assert recorded(sparkd, "SELECT kept FROM sessions ORDER BY began") == [None, '["a"]']


def test_an_eviction_is_in_the_history_with_its_reason(sparkd: SparkdProcess) -> None:
    assert [ask(sparkd, model) for model in ("b", "c")] == [200, 200]
    history = sparkctl("history", "b", cwd=sparkd.folder).out
    assert "making room for c" in history
    assert "1 load, median " in history
    assert re.search(r"^TIME +MODEL +STATE +FOR +IN USE +WHY$", history, re.MULTILINE)
    assert re.search(r" b +ready +\S+ +\d\S*s\b", history), "for how long it was ready, and in use"
    found = sparkctl("history", "--json", cwd=sparkd.folder).out
    assert '"evicted_for":"c"' in found


def test_the_commands_show_what_was_recorded(sparkd: SparkdProcess) -> None:
    assert [ask(sparkd, model) for model in ("a", "nope")] == [200, 404]
    table = sparkctl("requests", cwd=sparkd.folder).out.splitlines()
    assert table[0].split()[:2] == ["TIME", "MODEL"]
    assert len(table) == 3
    assert "404 model_not_found" in sparkctl("requests", "--errors", cwd=sparkd.folder).out
    assert sparkctl("requests", "--model", "b", cwd=sparkd.folder).out == "No request matches.\n"
    exported = sparkctl("requests", "--csv", "--since", "1h", cwd=sparkd.folder).out.splitlines()
    assert exported[0].startswith("time,ended,id,model,")
    assert len(exported) == 3
    usage = sparkctl("usage", "--by", "month", "--group", "model,client", cwd=sparkd.folder).out
    assert usage.splitlines()[-1].split()[:2] == ["total", "2"]
    wrong = sparkctl("requests", "--sort", "secnds", cwd=sparkd.folder)
    assert 'did you mean "seconds"?' in wrong.err


def test_a_reload_that_removes_a_model_is_in_its_history(sparkd: SparkdProcess) -> None:
    assert ask(sparkd, "a") == 200
    assert sparkctl("stop", "a", cwd=sparkd.folder).code == 0
    text = sparkd.catalogue.read_text()
    sparkd.catalogue.write_text(text.replace("[models.a]", "[models.z]"))
    assert sparkctl("reload", cwd=sparkd.folder).code == 0
    history = sparkctl("history", cwd=sparkd.folder).out
    assert "catalogue reloaded" in history
    assert "removed" in history


def test_the_machine_over_time_is_shown_with_and_without_a_daemon(sparkd: SparkdProcess) -> None:
    """The page shows the same: the minute that has not ended too, and unknown values as unknown."""
    assert ask(sparkd, "a") == 200

    def rows(*options: str) -> list[list[str]]:
        shown = sparkctl("usage", "--machine", *options, cwd=sparkd.folder).out
        return [line.split() for line in shown.splitlines()]

    wait_until("the machine was measured", lambda: len(rows("--since", "10m")) > 1)
    assert " ".join(rows()[0]) == "UNTIL OUT/S IN/S IN FLIGHT WAITING MODELS AVAILABLE GPU TEMP POWER"
    exported = sparkctl("usage", "--machine", "--csv", "--since", "10m", cwd=sparkd.folder).out.splitlines()
    assert exported[0].startswith("time,at,tokens_in,tokens_out,in_flight,")
    assert 10 <= len(exported) - 1 <= 12
    document = json.loads(sparkctl("usage", "--machine", "--json", cwd=sparkd.folder).out)
    assert document["step"] == 3600
    sparkd.stop()
    stopped = sparkctl("usage", "--machine", cwd=sparkd.folder)
    assert "sparkd is not running" in stopped.err
    assert stopped.code == 0

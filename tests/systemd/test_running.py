"""sparkd under a real systemd: it starts on the first connection, loses no request, and leaves nothing."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from sparkd import __version__
from tests.systemd.installation import SERVICE, Installation

LOAD_GENERATOR = Path(__file__).with_name("load_generator.py")


def test_nothing_runs_until_the_first_connection_which_is_answered(sparkd: Installation) -> None:
    assert sparkd.state() == "inactive"
    assert sparkd.list_processes() == []
    code, answer = sparkd.chat("a")
    assert code == 200, answer
    assert json.loads(answer)["choices"][0]["message"]["content"].strip() == "one two three"
    assert sparkd.state() == "active"


def test_sparkctl_starts_it_too_and_finds_its_socket_by_itself(sparkd: Installation) -> None:
    assert sparkd.status()["listen"] == ["127.0.0.1:8009", "[::1]:8009"]
    assert sparkd.state() == "active"


def test_the_status_line_shows_the_current_state(sparkd: Installation) -> None:
    assert sparkd.chat("a")[0] == 200
    sparkd.lab.wait_until("the status line shows it", lambda: "a resident" in _line(sparkd))
    assert re.fullmatch(r"ready · a resident · \d+ GiB free", _line(sparkd))


def test_a_restart_under_load_loses_no_connection(sparkd: Installation) -> None:
    assert sparkd.chat("a")[0] == 200
    clients = subprocess.Popen(
        [
            "nsenter",
            "--net",
            f"--target={sparkd.lab.pid}",
            "env",
            f"KEY={sparkd.key}",
            sys.executable,
            str(LOAD_GENERATOR),
            "4",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    before = {sparkd.pid()}
    for _ in range(10):
        sparkd.lab.run("systemctl", "restart", SERVICE)
        before.add(sparkd.pid())
        sparkd.lab.wait_until("the model is back", lambda: "a resident" in _line(sparkd))
    output, errors = clients.communicate("enough\n", timeout=120)
    counts = json.loads(output)
    print(f"requests over ten restarts: {counts}")
    assert len(before) == 11
    assert counts.pop("lost") == 0, errors
    assert counts["200"] > 50, errors
    assert set(counts) == {"200"}, counts


def test_a_reload_reports_whether_the_catalogue_is_valid_and_stops_nothing(sparkd: Installation) -> None:
    assert sparkd.chat("a")[0] == 200
    before = sparkd.pid(), sparkd.engine_pid("a")
    sparkd.catalogue({**sparkd.models(), "c": sparkd.models()["b"]})
    try:
        sparkd.lab.run("systemctl", "reload", SERVICE)
        assert '"c"' in sparkd.ask("/v1/models")[1]
        sparkd.catalogue({**sparkd.models(), "c": {"memory": "much"}})
        assert sparkd.lab.run("systemctl", "reload", SERVICE, check=False).returncode != 0
        messages = [str(entry["MESSAGE"]) for entry in sparkd.lab.journal("--unit", SERVICE)]
        assert any("models.c.memory" in line for line in messages), messages
        assert '"c"' in sparkd.ask("/v1/models")[1]
        assert (sparkd.pid(), sparkd.engine_pid("a"), sparkd.state()) == (*before, "active")
    finally:
        sparkd.catalogue(sparkd.models())


def test_a_new_program_takes_over_unnoticed_by_systemd_and_engines(sparkd: Installation) -> None:
    with sparkd.override("WatchdogSec=8s"):
        assert sparkd.chat("a")[0] == 200
        before = sparkd.pid(), sparkd.engine_pid("a"), sparkd.status()["uptime"]
        done = sparkd.lab.run("sparkctl", "reexec")
        assert "a kept running" in done.stdout
        assert (sparkd.pid(), sparkd.engine_pid("a")) == before[:2]
        sparkd.lab.wait_until(
            "it is older than its watchdog", lambda: sparkd.status()["uptime"] > before[2] + 10
        )
        assert sparkd.chat("a")[0] == 200
        assert (sparkd.pid(), sparkd.engine_pid("a"), sparkd.status()["replacements"]) == (*before[:2], 1)
        assert _line(sparkd).startswith("ready · a resident")
        messages = sparkd.lab.journal("--unit", SERVICE, "EVENT=replaced", f"_PID={before[0]}")
        assert [str(entry["MESSAGE"]).split()[:3] for entry in messages] == [
            ["Replaced", "sparkd", f"{__version__};"]
        ]
        sparkd.lab.run("systemctl", "stop", SERVICE)
        assert sparkd.list_processes() == []
        assert sparkd.lab.show(SERVICE, "Result")["Result"] == "success"


def test_killing_the_daemon_kills_the_engines_and_the_next_request_is_answered(
    sparkd: Installation,
) -> None:
    sparkd.catalogue(sparkd.models("--fork-grandchildren", "2", "--fork-runaways", "2", "--deaf"))
    try:
        assert sparkd.chat("a")[0] == 200
        sparkd.lab.wait_until("the engine's family is there", lambda: len(sparkd.list_processes()) >= 6)
        daemon = sparkd.pid()
        family = {line.split()[0] for line in sparkd.list_processes()}
        sparkd.lab.run("kill", "-KILL", str(daemon))
        sparkd.lab.wait_until(
            "nothing of it is left",
            lambda: not family & {line.split()[0] for line in sparkd.list_processes()},
        )
        assert sparkd.chat("a")[0] == 200
        assert sparkd.pid() != daemon
    finally:
        sparkd.catalogue(sparkd.models())


def test_the_watchdog_kills_a_daemon_that_hangs(sparkd: Installation) -> None:
    with sparkd.override("WatchdogSec=5s"):
        assert sparkd.chat("a")[0] == 200
        daemon, engine = sparkd.pid(), sparkd.engine_pid("a")
        sparkd.lab.run("kill", "-STOP", str(daemon))
        sparkd.lab.wait_until("another daemon is there", lambda: sparkd.pid() not in (0, daemon))
        assert not sparkd.lab.path(f"/proc/{engine}").exists()
        assert sparkd.chat("a")[0] == 200
        messages = [entry["MESSAGE"] for entry in sparkd.lab.journal("--unit", SERVICE)]
        assert any("Watchdog timeout" in str(line) for line in messages)
        assert any("Fatal Python error: Aborted" in str(line) for line in messages)


def test_a_stop_takes_as_long_as_responses_do(sparkd: Installation) -> None:
    """Even longer than TimeoutStopSec=, because the daemon extends it."""
    with sparkd.override("TimeoutStopSec=2s"):
        assert sparkd.chat("a")[0] == 200
        body = {
            "model": "a",
            "messages": [{"role": "user", "content": "x"}],
            "bad": {"tokens": 20, "pace": 0.25},
        }
        asking = subprocess.Popen(
            sparkd.lab.command_inside(*sparkd.curl("/v1/chat/completions", body)),
            stdout=subprocess.PIPE,
            text=True,
        )
        sparkd.lab.wait_until("it is being answered", lambda: sparkd.in_flight("a") == 1)
        sparkd.lab.run("systemctl", "stop", SERVICE)
        assert asking.communicate(timeout=60)[0].endswith("\n200")
        assert sparkd.lab.show(SERVICE, "Result")["Result"] == "success"


def _line(sparkd: Installation) -> str:
    return sparkd.lab.show(SERVICE, "StatusText")["StatusText"]
